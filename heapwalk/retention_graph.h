// Who refers to whom, as a directed graph in compressed rows.
//
//     node   0         1             2 … first_object−1         first_object …
//            process   unreachable   owners, then roots         objects: node = first_object + ObjectId
//
// Edges: process → owner without a parent → … → root → object → object. Structure edges are exact. Targets of a row
// are sorted and unique; where several words of an object point to the same target, the best kind wins.
//
// Rows live in blocks of kNodesPerBlock consecutive nodes. A block is filled by one worker straight from the scan, so
// there is no edge list, no second pass and no copy, and the graph is the same for any number of threads:
//
//     block = node / kNodesPerBlock:   offsets [n+1]  ─►  targets […]   kinds [2 bits each; absent when uniform]
//
// Offsets count within the block, so 16 bits are enough up to four edges per node; a denser block uses 32.
//
// Only forward rows are kept. Who needs the reverse direction builds it for the part it needs: the dominator search
// for its cross and back edges, `why` and `show` by one pass over the rows. At 4 bytes per edge it would be a fifth of
// the memory of the whole analysis.
//
// Laws (check()): rows sorted, no duplicates, no self-edges, targets < node_count, none of them the process or
// `unreachable`.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapwalk/ids.h"

namespace heapwalk {

// exact: a typed pointer field, or structure. conservative: an aligned word that happens to point into an object.
// tainted: a word in slack, spare capacity or characters. Better (smaller) wins.
enum class EdgeKind : uint8_t { exact, conservative, tainted };
constexpr size_t kEdgeKinds = 3;

struct Edge {
  NodeId target;
  EdgeKind kind;
  friend constexpr auto operator<=>(const Edge&, const Edge&) = default;
};

// The rows of consecutive nodes, appended one node at a time.
class EdgeBlock {
 public:
  // Sorts `row`, removes duplicates (best kind wins) and appends it as the next node's row. `row` is scratch. Returns the
  // number of edges dropped because the block would pass 2^32 edges: 0 for any core below 32 GiB.
  uint64_t append_row(std::vector<Edge>& row);
  void finish();  // call once, after the last row: packs the offsets, releases spare capacity

  uint32_t rows() const { return rows_; }
  std::span<const NodeId> targets(uint32_t row) const {
    if (wide_offsets_.empty()) return {targets_.data() + offsets_[row], targets_.data() + offsets_[row + 1]};
    return {targets_.data() + wide_offsets_[row], targets_.data() + wide_offsets_[row + 1]};
  }
  EdgeKind kind(uint32_t row, uint32_t position) const;
  bool has_kind(EdgeKind kind) const { return (kinds_present_ >> static_cast<unsigned>(kind) & 1U) != 0; }
  uint64_t edge_count() const { return targets_.size(); }

  template <class F>  // f(NodeId target, EdgeKind)
  void for_each_edge(uint32_t row, F&& f) const {
    std::span<const NodeId> row_targets = targets(row);
    if (kinds_.empty()) {
      for (NodeId target : row_targets) f(target, uniform_);
    } else {
      uint64_t edge = row_targets.data() - targets_.data();
      for (NodeId target : row_targets) f(target, kind_of(edge++));
    }
  }
  void prefetch_offsets(uint32_t row) const {
    if (wide_offsets_.empty())
      __builtin_prefetch(&offsets_[row]);
    else
      __builtin_prefetch(&wide_offsets_[row]);
  }

 private:
  EdgeKind kind_of(uint64_t edge) const {
    return kinds_.empty() ? uniform_ : static_cast<EdgeKind>(kinds_[edge / 4] >> edge % 4 * 2 & 3);
  }
  void set_kind(uint64_t edge, EdgeKind kind);

  uint32_t rows_ = 0;
  uint8_t kinds_present_ = 0;
  EdgeKind uniform_ = EdgeKind::exact;  // of all edges, while kinds_ is empty
  std::vector<uint16_t> offsets_;       // one of the two is in use
  std::vector<uint32_t> wide_offsets_{0};
  std::vector<NodeId> targets_;
  std::vector<uint8_t> kinds_;  // 2 bits per edge, four to a byte
};

class RetentionGraph {
 public:
  static constexpr uint32_t kBlockShift = 14;
  static constexpr uint32_t kNodesPerBlock = 1U << kBlockShift;

  RetentionGraph() = default;
  // Blocks in node order, all but the last with kNodesPerBlock rows.
  RetentionGraph(std::vector<EdgeBlock> blocks, uint32_t first_object);

  uint32_t node_count() const { return node_count_; }
  uint64_t edge_count() const;
  uint32_t first_object() const { return first_object_; }
  NodeId node_of(ObjectId id) const { return NodeId{first_object_ + heapwalk::index(id)}; }
  bool is_object(NodeId node) const { return heapwalk::index(node) >= first_object_; }
  ObjectId object_of(NodeId node) const { return ObjectId{heapwalk::index(node) - first_object_}; }

  std::span<const NodeId> targets(NodeId node) const { return block(node).targets(row(node)); }
  EdgeKind kind(NodeId node, uint32_t position) const { return block(node).kind(row(node), position); }
  bool has_kind(EdgeKind kind) const;  // has any edge this kind

  template <class F>  // f(NodeId target, EdgeKind), targets ascending
  void for_each_edge(NodeId node, F&& f) const {
    block(node).for_each_edge(row(node), f);
  }
  void prefetch_offsets(NodeId node) const { block(node).prefetch_offsets(row(node)); }
  void prefetch_targets(NodeId node) const { __builtin_prefetch(targets(node).data()); }

  bool check() const;

 private:
  const EdgeBlock& block(NodeId node) const { return blocks_[heapwalk::index(node) >> kBlockShift]; }
  static uint32_t row(NodeId node) { return heapwalk::index(node) & (kNodesPerBlock - 1); }

  std::vector<EdgeBlock> blocks_;
  uint32_t node_count_ = 0;
  uint32_t first_object_ = 0;
};

}  // namespace heapwalk
