// From the graph to its dominator tree, freeing each table before the next one is made:
//
//     find entries ─► depth-first numbers ─► rows of entries ─► Semi-NCA ─► back to nodes ─► retained sizes
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

template <class Offset>
std::vector<uint32_t> node_dominators(const RetentionGraph& graph, const Reachability& reach, size_t threads) {
  EntryGraph entries = find_entries(graph, reach, threads);
  DepthFirstNumbers tree = number_depth_first(graph, reach, entries);
  entries.leads_on = std::vector<bool>();
  VertexRows<Offset> rows = entry_rows<Offset>(graph, entries, tree, threads);
  entries.entry_bits = std::vector<std::vector<uint64_t>>();
  std::vector<uint32_t> dominators = find_vertex_dominators(std::move(tree.parent), std::move(rows));
  std::vector<uint32_t> node_of;
  assign_large(node_of, dominators.size(), 0);
  for (uint32_t node = 0; node < graph.node_count(); ++node) {
    if (entries.kept[node]) node_of[tree.number[node]] = node;
  }
  tree.number = std::vector<uint32_t>();
  std::vector<uint32_t> idom;  // by node: the parent, unless there are several entries
  reserve_large(idom, graph.node_count());
  for (NodeId parent : reach.parent) idom.push_back(index(parent));
  for (uint32_t vertex = 0; vertex < dominators.size(); ++vertex) {
    if (reach.several_parents[node_of[vertex]]) idom[node_of[vertex]] = node_of[dominators[vertex]];
  }
  return idom;
}

// Adds every node's bytes to its dominator's; dominators stand first in the order.
template <class T>
void sum_up(const std::vector<NodeId>& order, const std::vector<uint32_t>& idom, std::vector<T>& bytes) {
  for (size_t i = order.size(); i-- > 0;) {
    if (i >= 2 * kAhead) __builtin_prefetch(&idom[index(order[i - 2 * kAhead])]);
    if (i >= kAhead) {
      uint32_t ahead = index(order[i - kAhead]);
      __builtin_prefetch(&bytes[ahead]);
      if (idom[ahead] != index(kNoNode)) __builtin_prefetch(&bytes[idom[ahead]], 1);
    }
    uint32_t node = index(order[i]);
    if (idom[node] != index(kNoNode)) bytes[idom[node]] += bytes[node];
  }
}

}  // namespace

DominatorTree find_dominators(const RetentionGraph& graph, const Reachability& reachability, const ObjectIndex& objects,
                              size_t threads) {
  DominatorTree tree;
  bool narrow = graph.edge_count() < UINT32_MAX;
  tree.idom_ = narrow ? node_dominators<uint32_t>(graph, reachability, threads)
                      : node_dominators<uint64_t>(graph, reachability, threads);
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
  auto sum = [&](auto& bytes) {
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
    sum(bytes_);
  } else {
    sum(wide_bytes_);
  }
}

std::vector<uint64_t> DominatorTree::retained_objects(const std::vector<NodeId>& nodes,
                                                      const Reachability& reachability,
                                                      const RetentionGraph& graph) const {
  constexpr uint32_t kNone = UINT32_MAX;
  std::vector<uint32_t> holder;  // by node: the nearest of `nodes` above it, by position
  assign_large(holder, idom_.size(), kNone);
  for (uint32_t i = 0; i < nodes.size(); ++i) holder[index(nodes[i])] = i;
  std::vector<uint64_t> counts(nodes.size(), 0);
  std::vector<std::pair<uint32_t, uint32_t>> nested;  // (inner, outer), outer ones first
  const std::vector<NodeId>& order = reachability.order;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i + 2 * kAhead < order.size()) __builtin_prefetch(&idom_[index(order[i + 2 * kAhead])]);
    if (i + kAhead < order.size()) {
      uint32_t ahead = idom_[index(order[i + kAhead])];
      if (ahead != index(kNoNode)) __builtin_prefetch(&holder[ahead]);
      __builtin_prefetch(&holder[index(order[i + kAhead])], 1);
    }
    uint32_t node = index(order[i]);
    uint32_t above = idom_[node] == index(kNoNode) ? kNone : holder[idom_[node]];
    uint32_t& mine = holder[node];
    if (mine == kNone) {
      mine = above;
    } else if (above != kNone) {
      nested.emplace_back(mine, above);
    }
    if (mine != kNone && graph.is_object(order[i])) ++counts[mine];
  }
  for (size_t i = nested.size(); i-- > 0;) counts[nested[i].second] += counts[nested[i].first];
  return counts;
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
  result.reserve(parents.size());
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
  uint64_t total = 0;
  for (uint32_t id = 0; id < objects.size(); ++id) {
    if (!objects.is_used(ObjectId{id})) continue;
    uint32_t node = index(graph.node_of(ObjectId{id}));
    bytes[node] = objects.size_bytes(ObjectId{id});
    total += bytes[node];
  }
  for (uint32_t node = 0; node < idom_.size(); ++node) {
    if (idom_[node] == index(kNoNode)) continue;
    bytes[idom_[node]] += retained_bytes(NodeId{node});
  }
  for (uint32_t node = 0; node < idom_.size(); ++node) {
    if (bytes[node] != retained_bytes(NodeId{node})) return false;
  }
  return retained_bytes(kProcessNode) + retained_bytes(kUnreachableNode) == total;
}

}  // namespace heapwalk
