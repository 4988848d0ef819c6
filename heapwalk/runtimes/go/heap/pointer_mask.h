// Which words of a Go value are pointers, as the collector itself knows it from the value's type.
//
//     type Session struct { id int; next *Session; name string }       PtrBytes 24, Size_ 32
//     words      id   next  name.data name.len | id next …             the mask tiles over an object that holds several:
//     mask        0    1     1                 | 0   1                 a header names the element's type, never []Session
//
// Three ways to say it: the bits themselves; through Go 1.23, above 128 KiB of pointers, a program that writes them; since
// 1.24 the run-time makes them from the fields and elements when it first needs them, and so do we: what it made is the same,
// and its slot may be half-way.
// Programs: mask_program.h.
//
// An array is tiled by its element, so that a mask is as long as one element's unless the array lies inside a struct.
// Source: Go 1.27 runtime/type.go (getGCMask, buildGCMask).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "dump/address_space.h"
#include "heapwalk/runtimes/go/program/layout.h"
#include "heapwalk/runtimes/go/program/type_descriptor.h"

namespace heapwalk::go {

struct PointerMask {
  uint64_t size_bytes = 0;  // of a tile: the next one begins there; the type's own size is a multiple of it; may be 0
  uint64_t pointer_bytes = 0;  // a multiple of 8, at most size_bytes; what follows in the tile holds no pointer
  Bytes bits = {};             // bit i is the word at 8·i; at least pointer_bytes / 64 of them, rounded up

  bool has_pointers() const { return pointer_bytes != 0; }
  uint64_t words() const { return pointer_bytes / 8; }
  bool is_pointer(uint64_t word) const {  // word < size_bytes / 8
    return word < words() && (static_cast<uint8_t>(bits[word / 8]) >> word % 8 & 1) != 0;
  }
  // The words [64·i, 64·i + 64) as one number; zero beyond pointer_bytes.
  uint64_t group(uint64_t i) const;
};

// Masks by type, each found once. Not thread-safe: each worker has its own.
class PointerMasks {
 public:
  // Both outlive this.
  PointerMasks(const AddressSpace& memory, const Layout& layout);

  // The mask of the type whose descriptor is there; null where no mask could be had. O(1) but for the first time. The
  // pointer stays valid; the bits are borrowed from memory where they stand there.
  const PointerMask* of(Address type) {
    if (type == last_type_) return last_mask_;
    last_type_ = type;
    return last_mask_ = look_up(type);
  }

  // Of how many types nothing could be said.
  uint64_t unknown_types() const { return unknown_; }

 private:
  struct Entry {
    Address type;
    const PointerMask* mask = nullptr;
  };
  const PointerMask* look_up(Address type);
  Entry* place_of(Address type);
  void grow();
  const PointerMask* make(Address type);
  bool borrow(PointerMask& mask, Address bits);
  bool run_program(PointerMask& mask, Address program);
  bool build(PointerMask& mask, const TypeDescriptor& type);
  bool keep(PointerMask& mask, std::vector<uint64_t> bits);

  const AddressSpace* memory_;
  const Layout* layout_;
  Address last_type_;
  const PointerMask* last_mask_ = nullptr;
  std::vector<Entry> entries_;  // open addressing, a power of two; type 0: empty
  size_t used_ = 0;
  std::deque<PointerMask> masks_;
  std::deque<std::vector<uint64_t>> built_;
  uint64_t built_bytes_ = 0;
  uint64_t unknown_ = 0;
};

}  // namespace heapwalk::go
