// Where leaked memory begins: the source components of the part of the graph that nothing reaches.
//
// A component is strongly connected; a source component has no edge from outside. One node of each is enough to reach
// everything, and no fewer will do. Most leaks begin at a node without any incoming edge; what those do not reach hangs
// below cycles, and needs this search.
//
// Two floods find the sources without computing components at all:
//   1. Flood from every node not yet flooded, in ascending order. Each start keeps its own tree, and an edge between
//      trees can only lead from a later tree to an earlier one (an earlier tree would have swallowed its target).
//   2. Flood again from the starts, the last one first. A start that is already flooded is reachable from a later tree.
//      One that is not lies in a source component: whoever reaches it shares its tree, is thus reachable from it, and
//      so belongs to its component.
// The start is also its component's lowest node: a lower one would have flooded the component before.
#pragma once

#include <vector>

#include "heapwalk/retention_graph.h"

namespace heapwalk {

// The lowest node of each source component of the subgraph of `nodes` (ascending), ascending.
std::vector<NodeId> find_source_nodes(const RetentionGraph& graph, const std::vector<NodeId>& nodes);

}  // namespace heapwalk
