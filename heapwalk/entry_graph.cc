// Passes over all rows go block by block in memory order, on all threads; passes from parents to children or back go
// along the order of the search. Counters that several blocks share are atomic: the rows' inner order then depends on
// the threads, and dominators do not depend on it.
#include "heapwalk/entry_graph.h"

#include <algorithm>
#include <atomic>

#include "dump/base/parallel.h"
#include "heapwalk/large_pages.h"

namespace heapwalk {
namespace {

constexpr size_t kAhead = 16;

// Calls f(from, to) for every admitted edge into a node with several entries, the edges from `unreachable` to its
// roots included.
template <class F>
void for_each_entry(const RetentionGraph& graph, const Reachability& reach, size_t threads, F f) {
  size_t blocks = (size_t{graph.node_count()} + RetentionGraph::kNodesPerBlock - 1) >> RetentionGraph::kBlockShift;
  parallel_for(blocks, threads, [&](size_t block) {
    auto first = static_cast<uint32_t>(block << RetentionGraph::kBlockShift);
    uint32_t last = std::min<uint32_t>(graph.node_count() - first, RetentionGraph::kNodesPerBlock) + first;
    if (block == 0) {
      for (NodeId root : reach.leak_roots) {
        if (reach.several_parents[index(root)]) f(kUnreachableNode, root);
      }
    }
    for (uint32_t node = first; node < last; ++node) {
      NodeId from{node};
      Stage stage = reach.stage_of(from);
      if (stage == Stage::none) continue;
      graph.for_each_edge(from, [&](NodeId to, EdgeKind kind) {
        if (reach.several_parents[index(to)] && is_admitted(stage, kind, reach.stage_of(to))) f(from, to);
      });
    }
  });
}

// Numbers each node like its parent, unless `own(node)` gives it a number of its own.
template <class Own>
void pass_down(const Reachability& reach, std::vector<uint32_t>& number, Own own) {
  const std::vector<NodeId>& order = reach.order;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i + kAhead < order.size()) {
      __builtin_prefetch(&reach.parent[index(order[i + kAhead])]);
      __builtin_prefetch(&number[index(order[i + kAhead])], 1);
    }
    uint32_t node = index(order[i]);
    uint32_t mine = own(node);
    number[node] = mine != kNoVertex ? mine : number[index(reach.parent[node])];
  }
}

// Sets kept: several entries, an exit, or two children with kept nodes below them. `exits` is used up.
std::vector<bool> choose_kept(const Reachability& reach, std::vector<bool> exits) {
  std::vector<bool> kept = reach.several_parents;
  std::vector<bool> one_branch(kept.size());
  kept[index(kProcessNode)] = kept[index(kUnreachableNode)] = true;
  for (size_t i = reach.order.size(); i-- > 0;) {
    if (i >= kAhead) __builtin_prefetch(&reach.parent[index(reach.order[i - kAhead])]);
    uint32_t node = index(reach.order[i]);
    if (kept[node] && (reach.several_parents[node] || reach.parent[node] == kNoNode)) continue;
    if (exits[node]) kept[node] = true;
    if (!kept[node] && !one_branch[node]) continue;
    uint32_t parent = index(reach.parent[node]);
    if (one_branch[parent]) kept[parent] = true;
    one_branch[parent] = true;
  }
  return kept;
}

template <class Offset>
Offset fetch_add(Offset& counter, Offset amount, bool shared) {
  if (shared) return std::atomic_ref<Offset>(counter).fetch_add(amount, std::memory_order_relaxed);
  Offset old = counter;
  counter = static_cast<Offset>(counter + amount);
  return old;
}

// Calls f(from vertex, to vertex) for the edges into kept nodes that are there because of others.
template <class F>
void for_each_folded_vertex(const Reachability& reach, const EntryGraph& entries, F f) {
  for (size_t node = 0; node < entries.kept.size(); ++node) {
    if (!entries.kept[node] || reach.several_parents[node] || reach.parent[node] == kNoNode) continue;
    f(entries.vertex[index(reach.parent[node])], entries.vertex[node]);
  }
}

// Rows by counting: `for_each_edge(f)` calls f(row, target) for every edge, twice the same ones.
template <class Offset, class ForEachEdge>
VertexRows<Offset> count_and_fill(uint32_t vertices, bool shared, ForEachEdge for_each_edge) {
  VertexRows<Offset> rows;
  assign_large(rows.offsets, size_t{vertices} + 1, 0);
  for_each_edge([&](uint32_t row, uint32_t) { fetch_add<Offset>(rows.offsets[row], 1, shared); });
  for (size_t v = 1; v < rows.offsets.size(); ++v) rows.offsets[v] += rows.offsets[v - 1];
  assign_large(rows.targets, rows.offsets.back(), 0);
  // Filling each row from its end leaves its offset at its beginning.
  for_each_edge([&](uint32_t row, uint32_t target) {
    Offset end = fetch_add<Offset>(rows.offsets[row], static_cast<Offset>(-1), shared);
    rows.targets[end - 1] = target;
  });
  return rows;
}

}  // namespace

EntryGraph condense(const RetentionGraph& graph, const Reachability& reach, size_t threads) {
  EntryGraph entries;
  assign_large(entries.vertex, graph.node_count(), kNoVertex);
  // First: the root of each node's folded tree.
  pass_down(reach, entries.vertex, [&](uint32_t node) {
    return reach.several_parents[node] || reach.parent[node] == kNoNode ? node : kNoVertex;
  });
  std::vector<bool> exits(graph.node_count());
  for_each_entry(graph, reach, threads, [&](NodeId from, NodeId to) {
    if (entries.vertex[index(from)] != index(to)) exits[index(from)] = true;
  });
  entries.kept = choose_kept(reach, std::move(exits));
  pass_down(reach, entries.vertex, [&](uint32_t node) { return entries.kept[node] ? entries.vertices++ : kNoVertex; });
  return entries;
}

template <class Offset>
VertexRows<Offset> rows_forward(const RetentionGraph& graph, const Reachability& reach, const EntryGraph& entries,
                                size_t threads) {
  return count_and_fill<Offset>(entries.vertices, threads > 1, [&](auto f) {
    for_each_entry(graph, reach, threads, [&](NodeId from, NodeId to) {
      if (entries.kept[index(from)]) f(entries.vertex[index(from)], entries.vertex[index(to)]);
    });
    for_each_folded_vertex(reach, entries, f);
  });
}

template <class Offset>
VertexRows<Offset> rows_backward(const RetentionGraph& graph, const Reachability& reach, const EntryGraph& entries,
                                 const std::vector<uint32_t>& tree_parent, size_t threads) {
  return count_and_fill<Offset>(entries.vertices, threads > 1, [&](auto f) {
    for_each_entry(graph, reach, threads, [&](NodeId from, NodeId to) {
      if (!entries.kept[index(from)]) return;
      uint32_t vertex = entries.vertex[index(to)];
      uint32_t before = entries.vertex[index(from)];
      if (tree_parent[vertex] != before) f(vertex, before);
    });
  });
}

template VertexRows<uint32_t> rows_forward(const RetentionGraph&, const Reachability&, const EntryGraph&, size_t);
template VertexRows<uint64_t> rows_forward(const RetentionGraph&, const Reachability&, const EntryGraph&, size_t);
template VertexRows<uint32_t> rows_backward(const RetentionGraph&, const Reachability&, const EntryGraph&,
                                            const std::vector<uint32_t>&, size_t);
template VertexRows<uint64_t> rows_backward(const RetentionGraph&, const Reachability&, const EntryGraph&,
                                            const std::vector<uint32_t>&, size_t);

}  // namespace heapwalk
