// From bytes to edges: every aligned word of every root and every used allocation that points into a used allocation.
//
// Interior pointers count: without them a quarter of a large C++ program's heap looks leaked. Without types every such edge is
// conservative. What a collector manages is referred to by what the collector takes for pointers only (managed_heap.h). Regions are scanned in blocks of nodes, in parallel; the result does not depend on the thread count.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/allocators/allocator.h"
#include "heapwalk/managed_heap.h"
#include "heapwalk/object_index.h"
#include "heapwalk/retention_graph.h"
#include "heapwalk/root_set.h"
#include "heapwalk/types/object_types.h"

namespace heapwalk {

// Ranges and words in the target that are not references of the program. Sorted.
struct PrivateMemory {
  std::vector<AddressRange> ranges;
  std::vector<Address> words;
};

// Error: more than 2^32 − 2 nodes. Absent bytes inside scanned memory are counted in `diagnostics`.
Result<RetentionGraph> scan_references(const CoreDump& dump, const ObjectIndex& objects, const RootSet& roots,
                                       const ObjectTypes& types, const PrivateMemory& private_memory,
                                       const ManagedHeap& managed, size_t threads, Diagnostics& diagnostics);

// Node numbers of the structure: owners after the two tops, then roots, then objects.
NodeId owner_node(const RootSet& roots, uint32_t owner);
NodeId root_node(const RootSet& roots, uint32_t root);
uint32_t first_object_node(const RootSet& roots);

}  // namespace heapwalk
