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
// The kept nodes are numbered in breadth-first order. An edge from a folded node to the several-entry node at the root of
// its own folded tree (a `parent` or `owner` pointer) is entered from below only and does not count.
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/reachability.h"
#include "heapwalk/retention_graph.h"
#include "heapwalk/semi_nca.h"

namespace heapwalk {

struct EntryGraph {
  std::vector<bool> kept;        // by node
  std::vector<uint32_t> vertex;  // by node: of its nearest kept ancestor, itself included; kNoVertex when not visited
  uint32_t vertices = 0;
};

EntryGraph condense(const RetentionGraph& graph, const Reachability& reachability, size_t threads);

// For every vertex, the vertices it leads to, in no particular order.
template <class Offset>
VertexRows<Offset> rows_forward(const RetentionGraph& graph, const Reachability& reachability,
                                const EntryGraph& entries, size_t threads);

// For every vertex, the vertices that lead to it, less its parent in the depth-first tree. `entries.vertex` holds
// preorder numbers by now, `tree_parent` is indexed by them.
template <class Offset>
VertexRows<Offset> rows_backward(const RetentionGraph& graph, const Reachability& reachability,
                                 const EntryGraph& entries, const std::vector<uint32_t>& tree_parent, size_t threads);

}  // namespace heapwalk
