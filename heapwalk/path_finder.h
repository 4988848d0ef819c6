// Paths from roots to an object: the answer to "why is this still here".
//
// The shortest path is the object's chain of parents in the reachability tree. Further paths come from a backward
// breadth-first search over reversed rows, one per distinct root, shortest first; `avoid` removes nodes. Runs over the
// same name and field are one step with a repeat count when printed, so a list 250,000 nodes deep is one line.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "heapwalk/reachability.h"
#include "heapwalk/retention_graph.h"

namespace heapwalk {

// From the root's node (not the process, not an owner) to the object, both included. Empty: not reachable.
std::vector<NodeId> shortest_path(const RetentionGraph& graph, const Reachability& reachability, NodeId object);

// At most `limit` paths to `object`, each from another root node, shortest first, ties by root id.
// `avoid(node)` true: no path runs through that node. Edges are admitted ones only.
std::vector<std::vector<NodeId>> root_paths(const RetentionGraph& graph, const Reachability& reachability,
                                            NodeId object, size_t limit, const std::function<bool(NodeId)>& avoid);

// Edges to one of `targets` (sorted), at most `limit`, ascending by referrer. One pass over the rows.
struct Referrer {
  NodeId from;
  NodeId to;
  EdgeKind kind;
};
std::vector<Referrer> find_referrers(const RetentionGraph& graph, std::span<const NodeId> targets, size_t limit);

}  // namespace heapwalk
