// Where the bytes of the process are: two sets of books, both closed to the byte.
//
//     writable mappings = heap + TLS + stack + module + unknown          (memory_rows)
//     allocator-owned   = used + free + cached + metadata + unexplained  (allocator_rows; top counts as free)
//
// Every byte of a writable mapping is claimed once: by an allocator before anything else, then TLS, stacks (dead ones
// too), modules; what nobody claims is unknown. Allocator bytes outside writable mappings would break the first sum, so they are a diagnostic.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/allocators/allocator.h"
#include "heapwalk/object_index.h"
#include "heapwalk/root_set.h"
#include "heapwalk/summary.h"

namespace heapwalk {

std::vector<MemoryRow> memory_rows(const CoreDump& dump, std::span<const std::unique_ptr<HeapDecoder>> decoders,
                                   const RootSet& roots, Diagnostics& diagnostics);

// `totals[i]` are the sums over all regions of decoder i.
std::vector<AllocatorRow> allocator_rows(std::span<const std::unique_ptr<HeapDecoder>> decoders,
                                         std::span<const StateTotals> totals);

}  // namespace heapwalk
