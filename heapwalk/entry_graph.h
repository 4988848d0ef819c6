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
// An *entry* is an admitted edge into a node with several entries. An edge from a folded node to the several-entry node
// at the root of its own folded tree (a `parent` or `owner` pointer) is entered from below only and does not count.
//
// The graph is not copied: a bit per node says what is kept, a bit per edge what counts. The search numbers the kept
// nodes in depth-first order of the whole graph, and the entries are laid into rows by those numbers. It does not enter
// folded trees without kept nodes (leaves, lists that end): from there it would only come back.
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/reachability.h"
#include "heapwalk/retention_graph.h"
#include "heapwalk/semi_nca.h"

namespace heapwalk {

struct EntryGraph {
  std::vector<bool> kept;                         // by node
  std::vector<bool> leads_on;                     // by node: kept, or dropped above a kept one
  std::vector<std::vector<uint64_t>> entry_bits;  // by block of the graph's nodes: a bit per edge
};
EntryGraph find_entries(const RetentionGraph& graph, const Reachability& reachability, size_t threads);

struct DepthFirstNumbers {
  std::vector<uint32_t> number;  // by node that leads on: its own, or that of its nearest kept ancestor
  std::vector<uint32_t> parent;  // by number: that of its depth-first parent; kNoVertex for the two tops
};
DepthFirstNumbers number_depth_first(const RetentionGraph& graph, const Reachability& reachability,
                                     const EntryGraph& entries);

// By number: where its entries come from, the parent left out. In no particular order.
template <class Offset>  // 32 bits wide needs fewer than 2^32 entries
VertexRows<Offset> entry_rows(const RetentionGraph& graph, const EntryGraph& entries, const DepthFirstNumbers& tree,
                              size_t threads);

}  // namespace heapwalk
