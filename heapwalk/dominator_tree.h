// What would go away with what: immediate dominators and retained sizes.
//
// u dominates v when every admitted path from the top to v runs through u; free u's last reference and v goes with it.
// Semi-NCA (Georgiadis, "Linear-Time Algorithms for Dominators and Related Problems", 2005, §2.3), with explicit stacks,
// 32-bit numbers and the single-entry nodes folded first: a node with one admitted in-edge is dominated by its parent, needs
// no search and no slot.
//
// self(object) = its usable bytes; self(process, owner, root, mapping) = 0, so retained(process) = all reachable used
// bytes and retained(unreachable) = all leaked bytes. Laws (check()): order is topological, retained is the sum over children
// plus self, retained(process) + retained(unreachable) = used.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "heapwalk/object_index.h"
#include "heapwalk/reachability.h"
#include "heapwalk/retention_graph.h"

namespace heapwalk {

class DominatorTree {
 public:
  // kNoNode for the two tops and for nodes not visited.
  NodeId immediate_dominator(NodeId node) const { return idom_[index(node)]; }
  uint64_t retained_bytes(NodeId node) const;
  uint64_t retained_objects(NodeId node) const;  // used allocations in the subtree, the node itself included

  // Children of one node, by descending retained bytes then ascending id; at most `limit`. One pass over all nodes for
  // any number of parents: ask for several at once.
  std::vector<std::vector<NodeId>> children_of(const std::vector<NodeId>& parents, size_t limit) const;

  bool check(const ObjectIndex& objects, const RetentionGraph& graph, const Reachability& reachability) const;

 private:
  friend DominatorTree find_dominators(const RetentionGraph&, const Reachability&, const ObjectIndex&);
  std::vector<NodeId> idom_;
  std::vector<uint32_t> retained_bytes_;    // UINT32_MAX: look into retained_large_
  std::vector<uint32_t> retained_objects_;  // never more than 2^32
  std::unordered_map<uint32_t, uint64_t> retained_large_;
};

DominatorTree find_dominators(const RetentionGraph& graph, const Reachability& reachability,
                              const ObjectIndex& objects);

}  // namespace heapwalk
