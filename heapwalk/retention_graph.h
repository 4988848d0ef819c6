// Who refers to whom, as a directed graph in compressed rows.
//
//     node   0         1             2 … first_object−1         first_object …
//            process   unreachable   owners, then roots         objects: node = first_object + ObjectId
//
// Edges: process → owner without a parent → … → root → object → object. Structure edges are exact. Targets of a row
// are sorted and unique; where several words of an object point to the same target, the best kind wins.
//
// Rows are filled in blocks of kNodesPerBlock consecutive nodes, each by one worker straight from the scan; then the
// blocks are laid one behind the other. There is no edge list, and the graph is the same for any number of threads:
//
//     block = node / kNodesPerBlock:   base ─► offsets [n + 1, within the block]  ─►  targets […]
//                                              kinds [2 bits each; absent when uniform]
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
#include <functional>
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
  void finish();  // releases spare capacity

  uint32_t rows() const { return static_cast<uint32_t>(offsets_.size() - 1); }
  uint64_t edge_count() const { return targets_.size(); }

 private:
  friend class RetentionGraph;
  void set_kind(uint64_t edge, EdgeKind kind);

  uint8_t kinds_present_ = 0;           // bit k: has edges of kind k
  EdgeKind uniform_ = EdgeKind::exact;  // of all edges, while kinds_ is empty
  std::vector<uint32_t> offsets_{0};
  std::vector<NodeId> targets_;
  std::vector<uint8_t> kinds_;  // 2 bits per edge, four to a byte
};

class RetentionGraph {
 public:
  static constexpr uint32_t kBlockShift = 14;
  static constexpr uint32_t kNodesPerBlock = 1U << kBlockShift;

  RetentionGraph() = default;
  // Blocks in node order, all but the last with kNodesPerBlock rows. Each is freed when it has been taken over.
  RetentionGraph(std::vector<EdgeBlock> blocks, uint32_t first_object);

  uint32_t node_count() const { return node_count_; }
  uint64_t edge_count() const { return targets_.size(); }
  uint32_t first_object() const { return first_object_; }
  NodeId node_of(ObjectId id) const { return NodeId{first_object_ + heapwalk::index(id)}; }
  bool is_object(NodeId node) const { return heapwalk::index(node) >= first_object_; }
  ObjectId object_of(NodeId node) const { return ObjectId{heapwalk::index(node) - first_object_}; }

  // Edges are numbered throughout: those of a node, and of all nodes of a block, are consecutive.
  struct EdgeRange {
    uint64_t begin;
    uint64_t end;
  };
  EdgeRange edges_of(NodeId node) const {
    const Block& block = blocks_[heapwalk::index(node) >> kBlockShift];
    if (!block.wide_offsets.empty()) [[unlikely]] {
      uint32_t row = heapwalk::index(node) & (kNodesPerBlock - 1);
      return {block.base + block.wide_offsets[row], block.base + block.wide_offsets[row + 1]};
    }
    size_t i = offset_index(node);
    return {block.base + offsets_[i], block.base + offsets_[i + 1]};
  }
  NodeId target(uint64_t edge) const { return targets_[edge]; }
  std::span<const NodeId> targets(NodeId node) const {
    EdgeRange edges = edges_of(node);
    return {targets_.data() + edges.begin, targets_.data() + edges.end};
  }
  EdgeKind kind(NodeId node, uint32_t position) const {
    const Block& block = blocks_[heapwalk::index(node) >> kBlockShift];
    return block.kinds.empty() ? block.uniform : block.kind_of(edges_of(node).begin - block.base + position);
  }
  bool has_kind(EdgeKind kind) const;  // has any edge this kind

  template <class F>  // f(NodeId target, EdgeKind), targets ascending
  void for_each_edge(NodeId node, F&& f) const {
    const Block& block = blocks_[heapwalk::index(node) >> kBlockShift];
    EdgeRange edges = edges_of(node);
    for (uint64_t edge = edges.begin; edge < edges.end; ++edge) {
      f(targets_[edge], block.kinds.empty() ? block.uniform : block.kind_of(edge - block.base));
    }
  }
  // Calls f(from, to) for all edges of one kind, in memory order. Quick where there are few: rows are not looked at.
  void for_each_edge_of_kind(EdgeKind kind, const std::function<void(NodeId, NodeId)>& f) const;
  void prefetch_offsets(NodeId node) const { __builtin_prefetch(&offsets_[offset_index(node)]); }
  void prefetch_targets(NodeId node) const { __builtin_prefetch(targets_.data() + edges_of(node).begin); }

  bool check() const;

 private:
  struct Block {
    uint64_t base = 0;  // of its edges in targets_
    EdgeKind uniform = EdgeKind::exact;
    uint8_t kinds_present = 0;
    std::vector<uint8_t> kinds;          // empty: all edges are `uniform`
    std::vector<uint32_t> wide_offsets;  // in use instead of offsets_ where 16 bits are not enough

    bool has_kind(EdgeKind kind) const { return (kinds_present >> static_cast<unsigned>(kind) & 1U) != 0; }
    EdgeKind kind_of(uint64_t edge) const { return static_cast<EdgeKind>(kinds[edge / 4] >> edge % 4 * 2 & 3); }
  };
  static size_t offset_index(NodeId node) {  // every block has one offset more than rows
    return size_t{heapwalk::index(node)} + (heapwalk::index(node) >> kBlockShift);
  }
  std::vector<Block> blocks_;
  std::vector<uint16_t> offsets_;
  std::vector<NodeId> targets_;
  uint32_t node_count_ = 0;
  uint32_t first_object_ = 0;
};

}  // namespace heapwalk
