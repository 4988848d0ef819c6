// What would go away with what: immediate dominators and retained sizes.
//
// u dominates v when every admitted path from the top to v runs through u; free u's last reference and v goes with it.
// A node with a single entry is dominated by its parent; the others are searched for among the entries of
// entry_graph.h with the algorithm of semi_nca.h, with explicit stacks and 32-bit numbers.
//
// self(object) = its usable bytes; self(process, owner, root, mapping) = 0, so retained(process) = all reachable used
// bytes and retained(unreachable) = all leaked bytes. Laws (check()): order is topological, retained is the sum over children
// plus self, retained(process) + retained(unreachable) = used.
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/object_index.h"
#include "heapwalk/reachability.h"
#include "heapwalk/retention_graph.h"

namespace heapwalk {

class DominatorTree {
 public:
  // kNoNode for the two tops and for nodes not visited.
  NodeId immediate_dominator(NodeId node) const { return NodeId{idom_[index(node)]}; }
  void prefetch(NodeId node) const { __builtin_prefetch(&idom_[index(node)]); }
  uint64_t retained_bytes(NodeId node) const {
    return wide_bytes_.empty() ? uint64_t{bytes_[index(node)]} << unit_shift_ : wide_bytes_[index(node)];
  }
  // By position in `nodes` (distinct): the used allocations in its subtree, itself included. Few ask, so they are not
  // kept for every node; one pass over all nodes for any number: ask for several at once.
  std::vector<uint64_t> retained_objects(const std::vector<NodeId>& nodes, const Reachability& reachability,
                                         const RetentionGraph& graph) const;

  // Children of one node, by descending retained bytes then ascending id; at most `limit`. One pass over all nodes for
  // any number of parents: ask for several at once.
  std::vector<std::vector<NodeId>> children_of(const std::vector<NodeId>& parents, size_t limit) const;

  bool check(const ObjectIndex& objects, const RetentionGraph& graph, const Reachability& reachability) const;

 private:
  friend DominatorTree find_dominators(const RetentionGraph&, const Reachability&, const ObjectIndex&, size_t);
  void retain(const RetentionGraph& graph, const Reachability& reachability, const ObjectIndex& objects);
  bool check_sums(const ObjectIndex& objects, const RetentionGraph& graph) const;

  std::vector<uint32_t> idom_;        // by node
  std::vector<uint32_t> bytes_;       // by node: retained, in units of 1 << unit_shift_ bytes
  std::vector<uint64_t> wide_bytes_;  // in use instead where 32 bits cannot hold the sum of all sizes
  uint32_t unit_shift_ = 0;
};

// The result does not depend on the number of threads.
DominatorTree find_dominators(const RetentionGraph& graph, const Reachability& reachability, const ObjectIndex& objects,
                              size_t threads = 1);

}  // namespace heapwalk
