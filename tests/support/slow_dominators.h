// The slow and obvious way to everything that the graph algorithms find out, for small random graphs.
//
// Stages by a fixpoint over all edges, leak roots by mutual reachability, dominators by taking away one node after the
// other and looking what cannot be reached any more. A few lines each, straight from the definitions.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/support/graph_text.h"

namespace heapwalk {

struct SlowAnswer {
  std::vector<Stage> stage;                // by node
  std::vector<uint32_t> leak_roots;        // nodes, ascending
  std::vector<uint32_t> idom;              // by node; UINT32_MAX for tops and what is not visited
  std::vector<uint64_t> retained_bytes;    // by node
  std::vector<uint64_t> retained_objects;  // by node
};

SlowAnswer slow_answer(const GraphSketch& sketch);

}  // namespace heapwalk
