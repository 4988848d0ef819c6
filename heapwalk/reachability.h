// What is reachable, how well, and by which shortest path.
//
// A breadth-first search from the process in three stages, because better edges win: exact edges alone until nothing
// new appears, then conservative ones, then tainted ones. A node's stage is the worst edge kind on its best path. What
// only tainted words reach is *possibly live*: it counts as reachable and is shown apart.
//
// Used allocations that no stage reaches are leaked. Their roots are the source components (strongly connected, no
// edge from another leaked component) of the unreachable part, so that a leaked cycle has a root too: its lowest
// address. The leak roots become children of the node `unreachable`, and a fourth pass of the same search runs from
// there, so everything below the two top nodes is one forest.
//
//     order:   [ process … exact | conservative | tainted ][ unreachable, leak roots … leaked ]
//
// `parent` is the tree of shortest paths (fewest edges within the node's stage). `order` lists every visited node after its
// parent, and after its dominator: both accumulations (children into parents) run over it backwards.
//
// An edge u → v of kind c is *admitted* iff max(stage(u), c) ≤ stage(v): the edges that dominance may use, so that one
// stale word cannot pull a subtree out from under its owner. Edges from leaked into live memory are never admitted.
//
// Most nodes are dominated by their parent, and the search finds most of those on the way. An admitted edge into a
// visited node is harmless when it comes back from a child that only its parent leads to (the `prev` of a list, the
// `parent` of a tree): whoever stands there has passed the node already. Every other one makes several entries.
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/object_index.h"
#include "heapwalk/retention_graph.h"

namespace heapwalk {

enum class Stage : uint8_t { exact, conservative, tainted, leaked, none };  // none: not a used object

struct Reachability {
  std::vector<NodeId> parent;         // by node; kNoNode for the two tops and for nodes not visited
  std::vector<NodeId> order;          // visited nodes; order[0] = process
  std::vector<uint8_t> stage;         // by node: a Stage
  std::vector<bool> several_parents;  // by node: may be entered other than through `parent`; else `parent` dominates it
  std::vector<NodeId> leak_roots;     // ascending

  Stage stage_of(NodeId node) const { return static_cast<Stage>(stage[index(node)]); }
  bool is_reachable(NodeId node) const { return stage_of(node) <= Stage::tainted; }
};

constexpr bool is_admitted(Stage from, EdgeKind kind, Stage to) {
  uint8_t worst =
      static_cast<uint8_t>(from) > static_cast<uint8_t>(kind) ? static_cast<uint8_t>(from) : static_cast<uint8_t>(kind);
  return to != Stage::none && worst <= static_cast<uint8_t>(to);
}

Reachability find_reachable(const RetentionGraph& graph, const ObjectIndex& objects);

}  // namespace heapwalk
