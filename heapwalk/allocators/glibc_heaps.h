// All memory that malloc owns, cut into regions that can be walked independently.
//
//     main arena    [heap] by brk: top_end − system_mem … top_end, less what the program took with sbrk itself;
//                   or, when brk is blocked, pieces anywhere in anonymous memory, each closed by fenceposts
//     thread arenas one region per heap: heap_info, malloc_state in the first, chunks, top or fenceposts
//     mmapped       one region per chunk
//
// Pieces and mmapped chunks hide anywhere in merged anonymous mappings: one ascending pass looks at every page and hops
// over what it recognises, so that the content of one block is never taken for another.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "heapwalk/allocators/allocator.h"
#include "heapwalk/allocators/glibc_arena.h"
#include "heapwalk/allocators/glibc_mmapped.h"
#include "heapwalk/allocators/glibc_survey.h"

namespace heapwalk::glibc {

struct GlibcRegion {
  HeapRegion region;
  bool is_main = false;
  uint64_t top = 0;
  std::vector<ChunkRun> runs;           // of a region of chunks
  uint64_t unexplained_bytes = 0;       // gaps between runs and what a broken chain left over
  std::optional<MmappedChunk> mmapped;  // else: this one chunk
};

struct Heaps {
  std::vector<GlibcRegion> regions;     // sorted, disjoint
  std::vector<uint64_t> thread_caches;  // Survey::thread_caches of all regions
  std::vector<MallocParameters> parameters;
};

// `taken`: no block is there (sorted, disjoint).
Heaps find_heaps(const CoreDump& dump, const std::vector<Instance>& instances, bool use_symbols,
                 std::span<const AddressRange> taken, Diagnostics& diagnostics);

}  // namespace heapwalk::glibc
