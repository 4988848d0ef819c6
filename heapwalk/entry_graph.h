// The part of the retention graph in which dominance is not obvious.
//
// Most nodes have one way in: their parent dominates them, and nothing needs to be searched. They still matter where
// paths to a node with several entries part, because that node's dominator may be one of them:
//
//       a ● several entries        a ●                   kept:  nodes with several entries (a, e)
//         │                         │                           their folded ancestors with an edge to one (c, d)
//       b ○                         │                           and where two such branches part (b, if c and d
//        ╱ ╲                  ─►  b ○                           were below it)
//     c ○   ○ d                    ╱ ╲
//       │   │  ╲                c ○   ○ d                dropped: everything else. A dropped node has at most one
//       ╲   │   ○ f               ╲   │                  child that is not dropped for good, so an edge from its
//        e ●                       e ●                   nearest kept ancestor to that child says the same.
//
// The kept nodes are numbered in the order of the search. An edge from a folded node to the several-entry node at the root of
// its own folded tree (a `parent` or `owner` pointer) is entered from below only and does not count.
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/reachability.h"
#include "heapwalk/retention_graph.h"
#include "heapwalk/semi_nca.h"

namespace heapwalk {

template <class Offset>
struct EntryGraph {
  std::vector<bool> kept;    // by node; vertex v is the v-th kept node of the search's order
  VertexRows<Offset> rows;   // in no particular order
  uint32_t unreachable = 0;  // the vertex of the node `unreachable`; the process is vertex 0
};

// Offset 32 bits wide needs fewer than 2^32 edges and nodes together.
template <class Offset>
EntryGraph<Offset> condense(const RetentionGraph& graph, const Reachability& reachability, size_t threads);

}  // namespace heapwalk
