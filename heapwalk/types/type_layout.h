// A type as the scanner sees it: which words are pointers, to what, and which are nothing of the kind.
//
//     struct Session {                 slots                      kinds
//       long id;                                                  [ 0,  8)  conservative   may hide an address
//       Session* next;                 +8  → Session              [ 8, 16)  exact
//       std::string name;              +16 → char (container)     [16, 24)  exact
//                                                                 [24, 48)  tainted        size, and characters
//     };
//
// Nested records, bases and arrays are laid flat. In a union the debug info does not say which member is in use: its
// words are conservative, unless only one member has pointers at all. Numbers of less than a word, floating point,
// characters and padding are tainted: no program keeps an address there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "heapwalk/retention_graph.h"
#include "heapwalk/types/container_places.h"

namespace heapwalk {

struct PointerSlot {
  uint32_t offset_bytes = 0;
  TypeId target = kNoType;
  bool is_container = false;  // the container's own pointer
  bool is_weak = false;       // one reading of a union among several
  bool is_single = false;     // never to an array of records, unless a range says so
  uint16_t range = kNone;     // it points to elements: which of the layout's ranges says how many
  uint16_t guard = kNone;     // it is there only if this one of the layout's guards says so
  bool is_erased = false;     // what it leads to, or whether it is a pointer at all, only a function beside it knows
  uint16_t tag = kNone;       // of a weak one: which of the layout's tags tells the readings apart
  static constexpr uint16_t kNone = UINT16_MAX;
};

// What a container says about the elements that one of its pointers leads to: where the words are that say it.
struct ElementRange {
  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t end_offset_bytes = kNone;       // the pointer behind the last element in use
  uint32_t limit_offset_bytes = kNone;     // the pointer behind the room for elements
  uint32_t length_offset_bytes = kNone;    // the number of elements in use, a zero element following
  uint32_t count_offset_bytes = kNone;     // the number of elements in use
  uint32_t capacity_offset_bytes = kNone;  // the number of elements there is room for
  uint32_t mask_offset_bytes = kNone;      // one less than the number of elements, which end at the pointer
  uint32_t begin_offset_bytes = kNone;     // the pointer to the first element in use, if that is not the first of all
  uint32_t head_offset_bytes = kNone;      // its number, in a ring
  uint32_t vtable_offset_bytes = kNone;    // the vtable of a Rust trait object: it knows the element
  uint32_t control_offset_bytes = kNone;   // the pointer to the bytes that say which elements are in use
  uint8_t more = 0;                        // there is room for so many more than the capacity says
  const ContainerRule* rule = nullptr;     // that these words are read by
};

// optional and variant, long strings, tree nodes that are not full: part of the value is there only if a number beside it
// says so.
struct Guard {
  static constexpr uint16_t kNone = UINT16_MAX;
  enum class Test : uint8_t { not_zero, equal, above, at_most, none_of };
  uint32_t offset_bytes = 0;
  uint8_t size_bytes = 1;  // 1, 2, 4 or 8
  Test test = Test::not_zero;
  uint16_t outer = kNone;  // the guard of what this one is part of: it comes earlier, and has to hold too
  uint64_t mask = UINT64_MAX;
  uint64_t value = 0;                 // that the number is equal to, above, or at most
  std::vector<uint64_t> others = {};  // none of which it is
};

// The small number beside a union that C programs choose its member by.
struct UnionTag {
  uint32_t offset_bytes = 0;
  uint32_t size_bytes = 0;  // 1 to 8
};

struct KindRange {
  uint32_t begin = 0, end = 0;  // bytes from the start of the element, multiples of 8 but for the last end
  EdgeKind kind = EdgeKind::conservative;
};

// Bytes that are better than `kinds` says, if the guard holds.
struct GuardedRange {
  uint32_t begin = 0, end = 0;
  EdgeKind kind = EdgeKind::conservative;
  uint16_t guard = Guard::kNone;
};

struct TypeLayout {
  uint64_t size_bytes = 0;
  std::vector<PointerSlot> slots;  // by offset
  std::vector<KindRange> kinds;    // cover [0, size) without a gap
  std::vector<GuardedRange> guarded;
  bool is_polymorphic = false;  // begins with a vtable pointer
  bool has_open_end = false;    // ends with a flexible array: an allocation of it is as large as was needed
  std::vector<ElementRange> ranges;
  std::vector<Guard> guards;
  std::vector<UnionTag> tags;
  std::vector<ContainerPlace> containers;  // the first ones of those that are certainly there, or say so
  bool is_node = false;                    // of a container
  uint32_t filled_offset_bytes = 0;        // of a node with many elements: where their number is …
  uint8_t filled_bytes = 0;                // … and how large; 0: it has one

  // Whether a guard holds in the value that lies there. False when it is cut off.
  bool holds(uint16_t guard, const std::byte* data, uint64_t data_bytes) const;
};

class TypeLayouts {
 public:
  // Both outlive this.
  TypeLayouts(const TypeTable& types, const Containers& containers) : types_(&types), containers_(&containers) {}

  // Computed once. Types too large to be laid out word by word are conservative throughout. Not thread-safe.
  const TypeLayout& of(TypeId type);
  // If it was computed. Thread-safe as long as of() is not called.
  const TypeLayout* find(TypeId type) const {
    auto at = layouts_.find(type);
    return at == layouts_.end() ? nullptr : &at->second;
  }

 private:
  const TypeTable* types_;
  const Containers* containers_;
  std::map<TypeId, TypeLayout> layouts_;  // references stay valid
};

}  // namespace heapwalk
