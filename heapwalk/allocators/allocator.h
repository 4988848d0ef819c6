// What an allocator decoder provides: detect, then walk.
//
// detect() looks at the core for one allocator and returns a decoder that knows its heap regions, or null when the
// allocator is not in this process. Detection goes by the consistency of what is found in memory; symbols and debug
// info are hints that the same invariants then confirm; version numbers are only ever printed.
//
// The decoder is immutable after detection. Its regions are walked independently, each by one worker into one sink, so
// walk() is const and touches nothing shared. A region that was recognised but cannot be decoded is emitted as
// unexplained bytes and a diagnostic: never a silent zero.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/object_index.h"

namespace heapwalk {

struct HeapRegion {
  AddressRange range;  // what the allocator owns: all of it is accounted for
  std::string name;    // "main arena", "arena 3, heap 1", "mmapped chunks": for accounting rows
};

struct AllocatorFacts {
  std::string name;      // "glibc"
  std::string version;   // as found ("2.36"), or a bracket ("2.27–2.42"), or empty
  std::string evidence;  // how it was found: "symbol main_arena", "closure of 127 bins in libc.so.6 .data"
};

class HeapDecoder {
 public:
  virtual ~HeapDecoder() = default;

  virtual const AllocatorFacts& facts() const = 0;
  // Sorted, disjoint.
  virtual std::span<const HeapRegion> regions() const = 0;
  virtual uint32_t granule_bytes() const = 0;  // 8 or 16: every allocation starts on a multiple
  // Blocks of regions()[region], ascending.
  virtual void walk(size_t region, AllocationSink& sink, Diagnostics& diagnostics) const = 0;
  // Words that belong to the allocator or its C library and are no references of the program: malloc_state, mp_, the
  // heads and links of stdio's list, heap_info. Neither roots nor edges. Sorted, disjoint.
  virtual std::span<const AddressRange> private_ranges() const = 0;
  // Words inside *used allocations* that are no references (the _chain link of a FILE on the heap). Sorted addresses.
  virtual std::span<const Address> private_words() const = 0;
};

// Null when the allocator is not there. `taken`: memory of run-times, where no block of malloc's is, whatever it looks like;
// sorted, disjoint. `diagnostics` receives what was recognised but could not be understood.
using DetectAllocator = std::unique_ptr<HeapDecoder> (*)(const CoreDump&, std::span<const AddressRange> taken,
                                                         Diagnostics&);

struct AllocatorEntry {
  std::string_view name;
  DetectAllocator detect;
};

// allocators/registry.cc: the plain table of all allocators, in the order of detection.
std::span<const AllocatorEntry> allocator_registry();

}  // namespace heapwalk
