// From the graph to its dominator tree, freeing each table before the next one is made:
//
//     condense ─► forward rows ─► depth-first numbers ─► backward rows ─► Semi-NCA ─► back to nodes ─► retained sizes
//
// idom_ holds the vertex numbers until the dominators take their place.
#include "heapwalk/dominator_tree.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "heapwalk/entry_graph.h"
#include "heapwalk/large_pages.h"
#include "heapwalk/semi_nca.h"

namespace heapwalk {
namespace {

constexpr size_t kAhead = 16;

// By vertex: its dominator's vertex. Renumbers `entries` to the numbers of the depth-first search.
template <class Offset>
std::vector<uint32_t> vertex_dominators(const RetentionGraph& graph, const Reachability& reach, EntryGraph& entries,
                                        size_t threads) {
  DepthFirstTree tree;
  {
    auto forward = rows_forward<Offset>(graph, reach, entries, threads);
    tree = search_depth_first(forward, {entries.vertex[index(kProcessNode)], entries.vertex[index(kUnreachableNode)]});
  }
  for (uint32_t& vertex : entries.vertex) {
    if (vertex != kNoVertex) vertex = tree.number[vertex];
  }
  std::vector<uint32_t>().swap(tree.number);
  auto backward = rows_backward<Offset>(graph, reach, entries, tree.parent, threads);
  return semi_nca(std::move(tree.parent), std::move(backward));
}

// By node: its dominator.
std::vector<uint32_t> node_dominators(const Reachability& reach, EntryGraph entries,
                                      const std::vector<uint32_t>& dominators) {
  std::vector<uint32_t> node_of;
  assign_large(node_of, dominators.size(), 0);
  for (uint32_t node = 0; node < entries.kept.size(); ++node) {
    if (entries.kept[node]) node_of[entries.vertex[node]] = node;
  }
  std::vector<uint32_t> idom = std::move(entries.vertex);
  for (uint32_t node = 0; node < idom.size(); ++node) {
    idom[node] = reach.several_parents[node] ? node_of[dominators[idom[node]]] : index(reach.parent[node]);
  }
  return idom;
}

// Adds every node's value to its dominator's; dominators stand first in the order.
template <class T>
void sum_up(const std::vector<NodeId>& order, const std::vector<uint32_t>& idom, std::vector<T>& values) {
  for (size_t i = order.size(); i-- > 0;) {
    if (i >= 2 * kAhead) __builtin_prefetch(&idom[index(order[i - 2 * kAhead])]);
    if (i >= kAhead) {
      uint32_t ahead = index(order[i - kAhead]);
      __builtin_prefetch(&values[ahead]);
      if (idom[ahead] != index(kNoNode)) __builtin_prefetch(&values[idom[ahead]], 1);
    }
    uint32_t node = index(order[i]);
    if (idom[node] != index(kNoNode)) values[idom[node]] += values[node];
  }
}

}  // namespace

DominatorTree find_dominators(const RetentionGraph& graph, const Reachability& reachability, const ObjectIndex& objects,
                              size_t threads) {
  DominatorTree tree;
  {
    EntryGraph entries = condense(graph, reachability, threads);
    bool narrow = graph.edge_count() + graph.node_count() < UINT32_MAX;  // more than the rows can have
    std::vector<uint32_t> dominators = narrow ? vertex_dominators<uint32_t>(graph, reachability, entries, threads)
                                              : vertex_dominators<uint64_t>(graph, reachability, entries, threads);
    tree.idom_ = node_dominators(reachability, std::move(entries), dominators);
  }
  tree.retain(graph, reachability, objects);
  return tree;
}

void DominatorTree::retain(const RetentionGraph& graph, const Reachability& reachability, const ObjectIndex& objects) {
  uint64_t total = 0;
  uint64_t low_bits = 0;
  for (uint32_t id = 0; id < objects.size(); ++id) {
    if (!objects.is_used(ObjectId{id})) continue;
    total += objects.size_bytes(ObjectId{id});
    low_bits |= objects.size_bytes(ObjectId{id});
  }
  unit_shift_ = low_bits % 8 == 0 ? 3 : 0;
  bool narrow = total >> unit_shift_ <= UINT32_MAX;
  if (!narrow) unit_shift_ = 0;
  auto sum_bytes = [&](auto& bytes) {
    using Value = std::decay_t<decltype(bytes[0])>;
    assign_large(bytes, graph.node_count(), 0);
    for (uint32_t id = 0; id < objects.size(); ++id) {
      ObjectId object{id};
      if (!objects.is_used(object)) continue;
      bytes[index(graph.node_of(object))] = static_cast<Value>(objects.size_bytes(object) >> unit_shift_);
    }
    sum_up(reachability.order, idom_, bytes);
  };
  if (narrow) {
    sum_bytes(bytes_);
  } else {
    sum_bytes(wide_bytes_);
  }
  assign_large(objects_, graph.node_count(), 0);
  for (uint32_t id = 0; id < objects.size(); ++id) {
    objects_[index(graph.node_of(ObjectId{id}))] = objects.is_used(ObjectId{id});
  }
  sum_up(reachability.order, idom_, objects_);
}

std::vector<std::vector<NodeId>> DominatorTree::children_of(const std::vector<NodeId>& parents, size_t limit) const {
  auto better = [&](NodeId a, NodeId b) {
    uint64_t bytes_a = retained_bytes(a);
    uint64_t bytes_b = retained_bytes(b);
    return bytes_a != bytes_b ? bytes_a > bytes_b : a < b;
  };
  std::vector<bool> wanted(idom_.size());
  std::unordered_map<uint32_t, std::vector<NodeId>> best;  // heaps, the least of the best on top
  for (NodeId parent : parents) {
    if (index(parent) < wanted.size()) wanted[index(parent)] = true;
  }
  for (uint32_t node = 0; node < idom_.size() && limit > 0; ++node) {
    if (idom_[node] == index(kNoNode) || !wanted[idom_[node]]) continue;
    std::vector<NodeId>& heap = best[idom_[node]];
    if (heap.size() == limit) {
      if (!better(NodeId{node}, heap.front())) continue;
      std::pop_heap(heap.begin(), heap.end(), better);
      heap.pop_back();
    }
    heap.push_back(NodeId{node});
    std::push_heap(heap.begin(), heap.end(), better);
  }
  for (auto& [parent, heap] : best) std::sort_heap(heap.begin(), heap.end(), better);
  std::vector<std::vector<NodeId>> result;
  for (NodeId parent : parents) result.push_back(best[index(parent)]);
  return result;
}

bool DominatorTree::check(const ObjectIndex& objects, const RetentionGraph& graph,
                          const Reachability& reachability) const {
  if (idom_.size() != graph.node_count()) return false;
  std::vector<bool> seen(idom_.size());
  for (NodeId node : reachability.order) {
    uint32_t above = idom_[index(node)];
    bool top = node == kProcessNode || node == kUnreachableNode;
    if (top != (above == index(kNoNode)) || (!top && !seen[above]) || seen[index(node)]) return false;
    seen[index(node)] = true;
  }
  for (uint32_t node = 0; node < idom_.size(); ++node) {
    if (!seen[node] && idom_[node] != index(kNoNode)) return false;
  }
  return check_sums(objects, graph);
}

bool DominatorTree::check_sums(const ObjectIndex& objects, const RetentionGraph& graph) const {
  std::vector<uint64_t> bytes(idom_.size());
  std::vector<uint64_t> counts(idom_.size());
  uint64_t total = 0;
  for (uint32_t id = 0; id < objects.size(); ++id) {
    if (!objects.is_used(ObjectId{id})) continue;
    uint32_t node = index(graph.node_of(ObjectId{id}));
    bytes[node] = objects.size_bytes(ObjectId{id});
    counts[node] = 1;
    total += bytes[node];
  }
  for (uint32_t node = 0; node < idom_.size(); ++node) {
    if (idom_[node] == index(kNoNode)) continue;
    bytes[idom_[node]] += retained_bytes(NodeId{node});
    counts[idom_[node]] += retained_objects(NodeId{node});
  }
  for (uint32_t node = 0; node < idom_.size(); ++node) {
    if (bytes[node] != retained_bytes(NodeId{node}) || counts[node] != retained_objects(NodeId{node})) return false;
  }
  return retained_bytes(kProcessNode) + retained_bytes(kUnreachableNode) == total;
}

}  // namespace heapwalk
