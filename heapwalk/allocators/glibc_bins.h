// A second opinion on what is free: every member of an arena's unsorted, small and large bins must be a chunk that its
// neighbour marks free, linked both ways. The walk does not need the bins; what they contradict is heap corruption (a
// double free, a write after free), which a reader of the report wants to know before trusting the rest.
// Source: glibc malloc/malloc.c, do_check_malloc_state and unlink_chunk (2.36).
#pragma once

#include <span>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/allocators/glibc_arena.h"
#include "heapwalk/allocators/glibc_heaps.h"

namespace heapwalk::glibc {

// One diagnostic per arena at most, naming the first member that is wrong. Looks at up to kMaxBinMembers members of
// the process, evenly from all bins, so that a heap with millions of free chunks costs no time worth mentioning.
constexpr size_t kMaxBinMembers = 1 << 17;
void check_bins(const CoreDump& dump, const std::vector<Instance>& instances, std::span<const GlibcRegion> regions,
                Diagnostics& diagnostics);

}  // namespace heapwalk::glibc
