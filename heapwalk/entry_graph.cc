// Passes over all edges go block by block in memory order, on all threads; passes from parents to children or back go
// along the order of the search. The first pass marks the edges that matter in a bitmap; the later ones look at nothing
// else.
#include "heapwalk/entry_graph.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>

#include "dump/base/parallel.h"
#include "heapwalk/large_pages.h"

namespace heapwalk {
namespace {

constexpr size_t kAhead = 16;
constexpr uint32_t kBlock = RetentionGraph::kNodesPerBlock;

// Whether an edge is admitted, mostly without a look at its target: objects are found in the order of their stages, so
// an edge as good as the first one's stage is admitted wherever it leads.
class Admission {
 public:
  Admission(const RetentionGraph& graph, const Reachability& reach) : graph_(graph), reach_(reach) {
    auto first = std::find_if(reach.order.begin(), reach.order.end(), [&](NodeId n) { return graph.is_object(n); });
    if (first != reach.order.end()) least_ = reach.stage_of(*first);
  }
  bool operator()(Stage from, EdgeKind kind, NodeId to) const {
    return (std::max(from, static_cast<Stage>(kind)) <= least_ && graph_.is_object(to)) ||
           is_admitted(from, kind, reach_.stage_of(to));
  }

 private:
  const RetentionGraph& graph_;
  const Reachability& reach_;
  Stage least_ = Stage::exact;
};

class EntryFinder {
 public:
  EntryFinder(const RetentionGraph& graph, const Reachability& reach)
      : graph_(graph), reach_(reach), admits_(graph, reach) {}

  EntryGraph run(size_t threads) {
    find_folded_roots();
    exits_.assign(graph_.node_count(), false);
    result_.entry_bits.resize(graph_.block_count());
    parallel_for(result_.entry_bits.size(), threads, [&](size_t block) { mark_entries(block); });
    std::vector<uint32_t>().swap(folded_root_);
    choose_kept();
    return std::move(result_);
  }

 private:
  bool is_folded(uint32_t node) const { return !reach_.several_parents[node] && reach_.parent[node] != kNoNode; }

  void find_folded_roots() {
    const std::vector<NodeId>& order = reach_.order;
    assign_large(folded_root_, graph_.node_count(), kNoVertex);
    for (size_t i = 0; i < order.size(); ++i) {
      if (i + kAhead < order.size()) {
        __builtin_prefetch(&reach_.parent[index(order[i + kAhead])]);
        __builtin_prefetch(&folded_root_[index(order[i + kAhead])], 1);
      }
      uint32_t node = index(order[i]);
      folded_root_[node] = is_folded(node) ? folded_root_[index(reach_.parent[node])] : node;
    }
  }

  // Marks the block's entries, and the folded nodes that have one. A block's nodes are whole words of `exits_`.
  void mark_entries(size_t block) {
    auto first = static_cast<uint32_t>(block * kBlock);
    uint32_t last = first + std::min(graph_.node_count() - first, kBlock);
    std::vector<uint64_t>& marks = result_.entry_bits[block];
    marks.assign((graph_.block_targets(block).size() + 63) / 64, 0);
    for (uint32_t node = first; node < last; ++node) {
      Stage stage = reach_.stage_of(NodeId{node});
      if (stage == Stage::none) continue;
      bool any = false;
      uint32_t edge = graph_.edges_of(NodeId{node}).begin;
      graph_.for_each_edge(NodeId{node}, [&](NodeId to, EdgeKind kind) {
        uint32_t e = edge++;
        if (!reach_.several_parents[index(to)] || folded_root_[node] == index(to)) return;
        if (!admits_(stage, kind, to)) return;
        marks[e / 64] |= 1ULL << (e % 64);
        any = true;
      });
      if (any && is_folded(node)) exits_[node] = true;
    }
  }

  // Kept: several entries, an exit, or two children with kept nodes below them.
  void choose_kept() {
    std::vector<bool>& kept = result_.kept = reach_.several_parents;
    kept[index(kProcessNode)] = kept[index(kUnreachableNode)] = true;
    std::vector<bool>& one_branch = result_.leads_on;
    one_branch.assign(kept.size(), false);
    for (size_t i = reach_.order.size(); i-- > 0;) {
      if (i >= kAhead) __builtin_prefetch(&reach_.parent[index(reach_.order[i - kAhead])]);
      uint32_t node = index(reach_.order[i]);
      if (!is_folded(node)) {
        one_branch[node] = true;  // it has no folded parent to ask
        continue;
      }
      if (exits_[node]) kept[node] = true;
      if (kept[node]) one_branch[node] = true;
      if (!one_branch[node]) continue;
      uint32_t parent = index(reach_.parent[node]);
      if (one_branch[parent]) kept[parent] = true;
      one_branch[parent] = true;
    }
  }

  const RetentionGraph& graph_;
  const Reachability& reach_;
  Admission admits_;
  std::vector<uint32_t> folded_root_;  // by node: the root of its folded tree
  std::vector<bool> exits_;            // by node: folded, with an entry elsewhere
  EntryGraph result_;
};

// The stack has a frame only for nodes with a further unvisited target, so a list needs none.
class DepthFirstSearch {
 public:
  DepthFirstSearch(const RetentionGraph& graph, const Reachability& reach, const EntryGraph& entries)
      : graph_(graph), reach_(reach), admits_(graph, reach), kept_(entries.kept), visited_(entries.leads_on) {
    visited_.flip();
    assign_large(result_.number, graph.node_count(), kNoVertex);
    reserve_large(result_.parent, static_cast<size_t>(std::count(kept_.begin(), kept_.end(), true)));
  }

  DepthFirstNumbers run() {
    search_from(kProcessNode, kNoVertex);
    search_from(kUnreachableNode, kNoVertex);
    for (NodeId root : reach_.leak_roots) {
      if (!visited_[index(root)]) search_from(root, result_.number[index(kUnreachableNode)]);
    }
    return std::move(result_);
  }

 private:
  struct Frame {
    NodeId node;
    uint32_t next;  // position in its row of a target that was unvisited when the frame was left
  };

  void search_from(NodeId root, uint32_t parent) {
    visit(root, parent);
    Frame at{root, 0};
    for (;;) {
      std::span<const NodeId> row = graph_.targets(at.node);
      at.next = next_unvisited(at.node, row, at.next);
      if (at.next == row.size()) {
        if (frames_.empty()) return;
        at = frames_.back();
        frames_.pop_back();
        continue;
      }
      NodeId child = row[at.next];
      visit(child, result_.number[index(at.node)]);
      at.next = next_unvisited(at.node, row, at.next + 1);
      if (at.next != row.size()) {
        graph_.prefetch_targets(row[at.next]);
        frames_.push_back(at);
      }
      at = {child, 0};
    }
  }

  void visit(NodeId node, uint32_t parent) {
    visited_[index(node)] = true;
    for (NodeId target : graph_.targets(node).first(std::min<size_t>(graph_.targets(node).size(), kFetched))) {
      graph_.prefetch_offsets(target);
      __builtin_prefetch(&result_.number[index(target)], 1);
    }
    if (kept_[index(node)]) {
      result_.number[index(node)] = static_cast<uint32_t>(result_.parent.size());
      result_.parent.push_back(parent);
    } else {
      result_.number[index(node)] = parent;
    }
  }

  uint32_t next_unvisited(NodeId from, std::span<const NodeId> row, uint32_t at) const {
    for (; at < row.size(); ++at) {
      if (!visited_[index(row[at])] && admits_(reach_.stage_of(from), graph_.kind(from, at), row[at])) break;
    }
    return at;
  }

  static constexpr size_t kFetched = 8;
  const RetentionGraph& graph_;
  const Reachability& reach_;
  Admission admits_;
  const std::vector<bool>& kept_;
  std::vector<bool>
      visited_;  // or not to be visited; small enough for the processor's cache, which the numbers are not
  std::vector<Frame> frames_;
  DepthFirstNumbers result_;
};

// Calls f(from, to) for the entries of a block of nodes.
template <class F>
void for_each_entry(const RetentionGraph& graph, const std::vector<uint64_t>& entry_bits, size_t block, F f) {
  auto node = static_cast<uint32_t>(block * kBlock);
  std::span<const NodeId> targets = graph.block_targets(block);
  uint32_t end = graph.edges_of(NodeId{node}).end;
  for (size_t w = 0; w < entry_bits.size(); ++w) {
    for (uint64_t bits = entry_bits[w]; bits != 0; bits &= bits - 1) {
      size_t edge = w * 64 + static_cast<size_t>(std::countr_zero(bits));
      while (edge >= end) end = graph.edges_of(NodeId{++node}).end;
      f(NodeId{node}, targets[edge]);
    }
  }
}

template <class Offset>
Offset fetch_add(Offset& counter, Offset amount, bool shared) {
  if (shared) return std::atomic_ref<Offset>(counter).fetch_add(amount, std::memory_order_relaxed);
  Offset old = counter;
  counter = static_cast<Offset>(counter + amount);
  return old;
}

// Calls f(source, target) with the numbers of the entries of a block, but for those from the target's parent. Entries lead
// everywhere and f writes there, so they are taken in batches whose steps are fetched ahead.
template <class Prefetch, class F>
void for_each_numbered_entry(const RetentionGraph& graph, const EntryGraph& entries, const DepthFirstNumbers& tree,
                             size_t block, Prefetch prefetch, F f) {
  struct Entry {
    uint32_t source;
    uint32_t target;
  };
  std::array<Entry, 128> batch;
  size_t batched = 0;
  auto finish_batch = [&] {
    for (Entry& entry : std::span(batch).first(batched)) {
      entry.target = tree.number[entry.target];
      __builtin_prefetch(&tree.parent[entry.target]);
      prefetch(entry.target);
    }
    for (const Entry& entry : std::span(batch).first(batched)) {
      if (entry.source != entry.target && entry.source != tree.parent[entry.target]) f(entry.source, entry.target);
    }
    batched = 0;
  };
  for_each_entry(graph, entries.entry_bits[block], block, [&](NodeId from, NodeId to) {
    __builtin_prefetch(&tree.number[index(to)]);
    batch[batched++] = {tree.number[index(from)], index(to)};
    if (batched == batch.size()) finish_batch();
  });
  finish_batch();
}

}  // namespace

EntryGraph find_entries(const RetentionGraph& graph, const Reachability& reachability, size_t threads) {
  return EntryFinder(graph, reachability).run(threads);
}

DepthFirstNumbers number_depth_first(const RetentionGraph& graph, const Reachability& reachability,
                                     const EntryGraph& entries) {
  return DepthFirstSearch(graph, reachability, entries).run();
}

template <class Offset>
VertexRows<Offset> entry_rows(const RetentionGraph& graph, const EntryGraph& entries, const DepthFirstNumbers& tree,
                              size_t threads) {
  VertexRows<Offset> rows;
  const bool shared = threads > 1;
  auto for_each = [&](auto f) {
    parallel_for(graph.block_count(), threads, [&](size_t block) {
      for_each_numbered_entry(
          graph, entries, tree, block, [&](uint32_t target) { __builtin_prefetch(&rows.offsets[target], 1); }, f);
    });
  };
  assign_large(rows.offsets, tree.parent.size() + 1, 0);
  for_each([&](uint32_t, uint32_t target) { fetch_add<Offset>(rows.offsets[target], 1, shared); });
  for (size_t v = 1; v < rows.offsets.size(); ++v) rows.offsets[v] += rows.offsets[v - 1];
  assign_large(rows.sources, rows.offsets.back(), 0);
  // Filling each row from its end leaves its offset at its beginning.
  for_each([&](uint32_t source, uint32_t target) {
    rows.sources[fetch_add<Offset>(rows.offsets[target], static_cast<Offset>(-1), shared) - 1] = source;
  });
  return rows;
}

template VertexRows<uint32_t> entry_rows(const RetentionGraph&, const EntryGraph&, const DepthFirstNumbers&, size_t);
template VertexRows<uint64_t> entry_rows(const RetentionGraph&, const EntryGraph&, const DepthFirstNumbers&, size_t);

}  // namespace heapwalk
