// Counts the containers of the process: what is in them, and the memory that they own and do not use.
//
//     every typed object, every variable ─► its layout's containers ─► tallies by layout and container ─► rows
//
// Unused are: a vector's capacity beyond its size, a string's, the empty buckets of hash tables. What containers say
// about themselves is checked: over all containers with one type of node, the sizes they state must add up to the nodes
// that were found; a Rust table's full control bytes to its items. What differs is the diagnostic "container_count".
// (By type of node rather than by container: a walk down each tree would cost a cache miss per element.)
#pragma once

#include <vector>

#include "dump/base/diagnostics.h"
#include "dump/core_dump.h"
#include "heapwalk/root_set.h"
#include "heapwalk/summary.h"
#include "heapwalk/types/object_types.h"

namespace heapwalk {

struct CensusInput {
  const CoreDump& dump;
  const ObjectIndex& objects;
  const RootSet& roots;
  const ObjectTypes& types;
};

// By unused bytes, descending. Does not depend on the number of threads.
std::vector<ContainerRow> count_containers(const CensusInput& input, size_t threads, Diagnostics& diagnostics);

}  // namespace heapwalk
