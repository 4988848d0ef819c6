// Go's heap, read out of the core: which address is in which span, which slots are allocated, which words are pointers.
//
//     mheap_.allspans ─► mspan { start, element size, how many, allocBits … }     one size per span
//
//     span    ├ slot 0 ┤ slot 1 ┤ … ┤ slot n−1 ┤ (rest) ┤ heap bits ┤ inline marks ┤
//                allocated: below freeindex, or its bit in allocBits is set
//
// Where the pointers of a slot are, the collector knows exactly, and so do we:
//
//     up to 512 bytes     one bit per word at the end of the span           Go 1.22 …
//     up to 32 KiB        the slot's first word is its type, whose mask is tiled over the rest
//     larger              the span says the type
//     all sizes           bits beside the arena                             Go 1.19 (two per word), 1.20, 1.21
//     noscan spans        there are none
//
// `nelems` is what the span says: the bits at its end cost slots, and so do the collector's inline marks (Green Tea, Go
// 1.25 as an experiment, 1.26 by default), which are told from the arena's own bit per page.
// Source: Go 1.19 … 1.27 runtime/mheap.go (mspan, heapArena), mbitmap.go, malloc.go, mgcmark_greenteagc.go.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "heapwalk/runtimes/go/program/process.h"

namespace heapwalk::go {

enum class SpanState : uint8_t { dead = 0, in_use = 1, manual = 2 };  // manual: stacks and the run-time's own

struct Span {
  Address begin;
  uint64_t size_bytes = 0;     // whole pages
  uint64_t element_bytes = 0;  // of a slot
  uint32_t elements = 0;
  uint32_t free_index = 0;  // all slots below are allocated
  Address limit;            // end of the slots
  Address alloc_bits;
  Address large_type;  // of a large object; null: not said (yet)
  Address heap_bits;   // of spans that have them at their end; null: none
  Bytes bits;          // those, as far as the core has them
  Address specials;    // what the run-time notes about single objects
  uint32_t sweep_gen = 0;
  SpanState state = SpanState::dead;
  bool noscan = false;
  bool has_headers = false;  // each slot begins with the address of its type
  bool is_arena = false;     // a chunk of a user arena
  bool is_doubtful = false;  // its fields contradict each other

  AddressRange range() const { return AddressRange::of(begin, size_bytes); }
  AddressRange slot(uint64_t index) const { return AddressRange::of(begin + index * element_bytes, element_bytes); }
  // Of the slot around an address inside the span; nothing behind the last slot.
  std::optional<uint64_t> slot_of(Address address) const {
    const uint64_t index = (address - begin) / element_bytes;
    return index < elements ? std::optional(index) : std::nullopt;
  }
};

class Heap {
 public:
  static std::optional<Heap> read(const CoreDump& dump, const Process& process, Diagnostics& diagnostics);

  std::span<const Span> spans() const { return spans_; }            // in use or manual; by address, disjoint
  const Span* find(Address address) const;                          // O(log spans)
  std::span<const AddressRange> arenas() const { return arenas_; }  // what the process maps of them; sorted, disjoint
  uint32_t sweep_gen() const { return sweep_gen_; }  // of spans that were swept since the last collection

  // One byte per slot, not 0 where it is allocated. Slots whose bits the core lacks count as allocated; false then.
  bool allocated(const Span& span, std::vector<uint8_t>& slots) const;
  uint64_t allocated_bytes() const;  // of all spans

  // Of spans whose slots have no types: which of the 64 words from `at` on are pointers, bit 0 the first. `at` is in `slot`;
  // bits behind the slot are 0. `is_last`: there are no more pointers in the slot.
  uint64_t pointer_bits(const Span& span, AddressRange slot, Address at, bool& is_last) const;

  const CoreDump& dump() const { return *dump_; }
  const Process& process() const { return *process_; }

 private:
  Heap(const CoreDump& dump, const Process& process) : dump_(&dump), process_(&process) {}

  struct Arena {  // runtime.heapArena
    AddressRange range;
    Address metadata;
  };
  const Arena* arena_of(Address address) const;
  void add_arenas(Diagnostics& diagnostics);
  void add_spans(Diagnostics& diagnostics);
  std::optional<Span> read_span(Address at) const;
  bool has_inline_marks(const Span& span) const;
  uint64_t arena_bits(Address at, bool& is_last) const;       // Go 1.20, 1.21
  uint64_t arena_bit_pairs(Address at, bool& is_last) const;  // Go 1.19

  const CoreDump* dump_;
  const Process* process_;
  std::vector<Span> spans_;
  std::vector<Arena> arena_metadata_;  // by address
  std::vector<AddressRange> arenas_;
  uint32_t sweep_gen_ = 0;
};

}  // namespace heapwalk::go
