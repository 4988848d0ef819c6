// Passes over all rows go block by block in memory order, on all threads; passes from parents to children or back go
// along the order of the search. The first pass marks the edges that matter in a bitmap; the later ones look at nothing
// else, and every row of the result is written by the one block its node lies in.
#include "heapwalk/entry_graph.h"

#include <algorithm>
#include <bit>

#include "dump/base/parallel.h"
#include "heapwalk/large_pages.h"

namespace heapwalk {
namespace {

constexpr size_t kAhead = 16;
constexpr uint32_t kBlock = RetentionGraph::kNodesPerBlock;

class Condenser {
 public:
  Condenser(const RetentionGraph& graph, const Reachability& reach, size_t threads)
      : graph_(graph), reach_(reach), threads_(threads), marks_((size_t{graph.node_count()} + kBlock - 1) / kBlock) {}

  template <class Offset>
  EntryGraph<Offset> run() {
    assign_large(number_, graph_.node_count(), kNoVertex);
    pass_down([&](uint32_t node) { return is_folded(node) ? kNoVertex : node; });  // the root of its folded tree
    exits_.assign(graph_.node_count(), false);
    least_ = least_object_stage();
    parallel_for(marks_.size(), threads_, [&](size_t block) { mark_entries(block); });
    choose_kept();
    uint32_t vertices = 0;
    pass_down([&](uint32_t node) { return kept_[node] ? vertices++ : kNoVertex; });
    EntryGraph<Offset> result;
    result.rows = make_rows<Offset>(vertices);
    result.unreachable = number_[index(kUnreachableNode)];
    result.kept = std::move(kept_);
    return result;
  }

 private:
  bool is_folded(uint32_t node) const { return !reach_.several_parents[node] && reach_.parent[node] != kNoNode; }

  // Numbers each node like its parent, unless `own(node)` gives it a number of its own.
  template <class Own>
  void pass_down(Own own) {
    const std::vector<NodeId>& order = reach_.order;
    for (size_t i = 0; i < order.size(); ++i) {
      if (i + kAhead < order.size()) {
        __builtin_prefetch(&reach_.parent[index(order[i + kAhead])]);
        __builtin_prefetch(&number_[index(order[i + kAhead])], 1);
      }
      uint32_t node = index(order[i]);
      uint32_t mine = own(node);
      number_[node] = mine != kNoVertex ? mine : number_[index(reach_.parent[node])];
    }
  }

  // Objects are found in the order of their stages. An edge this good is admitted wherever it leads, unseen.
  Stage least_object_stage() const {
    for (NodeId node : reach_.order) {
      if (graph_.is_object(node)) return reach_.stage_of(node);
    }
    return Stage::exact;
  }

  // Marks the admitted edges into nodes with several entries, and the folded nodes that have one.
  void mark_entries(size_t block) {
    auto first = static_cast<uint32_t>(block * kBlock);
    uint32_t last = first + std::min(graph_.node_count() - first, kBlock);
    uint64_t base = graph_.edges_of(NodeId{first}).begin;
    std::vector<uint64_t>& marks = marks_[block];
    marks.assign((graph_.edges_of(NodeId{last - 1}).end - base + 63) / 64, 0);
    for (uint32_t node = first; node < last; ++node) {
      Stage stage = reach_.stage_of(NodeId{node});
      if (stage == Stage::none) continue;
      bool any = false;
      uint64_t edge = graph_.edges_of(NodeId{node}).begin - base;
      graph_.for_each_edge(NodeId{node}, [&](NodeId to, EdgeKind kind) {
        uint64_t e = edge++;
        if (!reach_.several_parents[index(to)] || number_[node] == index(to)) return;
        bool admitted = std::max(stage, static_cast<Stage>(kind)) <= least_ ? graph_.is_object(to) : false;
        if (!admitted && !is_admitted(stage, kind, reach_.stage_of(to))) return;
        marks[e / 64] |= 1ULL << (e % 64);
        any = true;
      });
      if (any && is_folded(node)) exits_[node] = true;
    }
  }

  // Kept: several entries, an exit, or two children with kept nodes below them.
  void choose_kept() {
    kept_ = reach_.several_parents;
    kept_[index(kProcessNode)] = kept_[index(kUnreachableNode)] = true;
    std::vector<bool> one_branch(kept_.size());
    for (size_t i = reach_.order.size(); i-- > 0;) {
      if (i >= kAhead) __builtin_prefetch(&reach_.parent[index(reach_.order[i - kAhead])]);
      uint32_t node = index(reach_.order[i]);
      if (!is_folded(node)) continue;
      if (exits_[node]) kept_[node] = true;
      if (!kept_[node] && !one_branch[node]) continue;
      uint32_t parent = index(reach_.parent[node]);
      if (one_branch[parent]) kept_[parent] = true;
      one_branch[parent] = true;
    }
    std::vector<bool>().swap(exits_);
  }

  // Calls f(parent's vertex, vertex) for the edges that are no marked ones: to folded nodes, and to leak roots.
  template <class F>
  void for_each_tree_edge(F f) const {
    for (uint32_t node = 0; node < graph_.node_count(); ++node) {
      if (kept_[node] && is_folded(node)) f(number_[index(reach_.parent[node])], number_[node]);
    }
    for (NodeId root : reach_.leak_roots) {
      if (!is_folded(index(root))) f(number_[index(kUnreachableNode)], number_[index(root)]);
    }
  }

  // Calls f(vertex, target node) for the marked edges of a block, all of one vertex together.
  template <class F>
  void for_each_marked_edge(size_t block, F f) const {
    if (marks_[block].empty()) return;
    auto first = static_cast<uint32_t>(block * kBlock);
    uint64_t base = graph_.edges_of(NodeId{first}).begin;
    uint32_t node = first;
    uint64_t end = graph_.edges_of(NodeId{node}).end;
    for (size_t w = 0; w < marks_[block].size(); ++w) {
      for (uint64_t bits = marks_[block][w]; bits != 0; bits &= bits - 1) {
        uint64_t edge = base + w * 64 + static_cast<uint64_t>(std::countr_zero(bits));
        while (edge >= end) end = graph_.edges_of(NodeId{++node}).end;
        f(number_[node], graph_.target(edge));
      }
    }
  }

  template <class Offset>
  VertexRows<Offset> make_rows(uint32_t vertices) {
    VertexRows<Offset> rows;
    assign_large(rows.offsets, size_t{vertices} + 1, 0);
    parallel_for(marks_.size(), threads_, [&](size_t block) {
      for_each_marked_edge(block, [&](uint32_t vertex, NodeId) { ++rows.offsets[vertex]; });
    });
    for_each_tree_edge([&](uint32_t vertex, uint32_t) { ++rows.offsets[vertex]; });
    for (size_t v = 1; v <= vertices; ++v) rows.offsets[v] += rows.offsets[v - 1];
    assign_large(rows.targets, rows.offsets.back(), 0);
    // Filling each row from its end leaves its offset at its beginning.
    for_each_tree_edge([&](uint32_t vertex, uint32_t target) { rows.targets[--rows.offsets[vertex]] = target; });
    parallel_for(marks_.size(), threads_, [&](size_t block) {
      for_each_marked_edge(
          block, [&](uint32_t vertex, NodeId to) { rows.targets[--rows.offsets[vertex]] = number_[index(to)]; });
    });
    return rows;
  }

  const RetentionGraph& graph_;
  const Reachability& reach_;
  size_t threads_;
  Stage least_ = Stage::exact;
  std::vector<uint32_t> number_;  // by node: its folded tree's root; later its nearest kept ancestor's vertex
  std::vector<std::vector<uint64_t>> marks_;  // by block: a bit per edge
  std::vector<bool> exits_;                   // by node: folded, with a marked edge
  std::vector<bool> kept_;
};

}  // namespace

template <class Offset>
EntryGraph<Offset> condense(const RetentionGraph& graph, const Reachability& reachability, size_t threads) {
  return Condenser(graph, reachability, threads).run<Offset>();
}

template EntryGraph<uint32_t> condense(const RetentionGraph&, const Reachability&, size_t);
template EntryGraph<uint64_t> condense(const RetentionGraph&, const Reachability&, size_t);

}  // namespace heapwalk
