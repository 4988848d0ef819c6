// Who refers to whom, as a directed graph in compressed rows.
//
//     node   0         1             2 … first_object−1         first_object …
//            process   unreachable   owners, then roots         objects: node = first_object + ObjectId
//
// Edges: process → owner without a parent → … → root → object → object. Structure edges are exact. Targets of a row
// are sorted and unique; where several words of an object point to the same target, the best kind wins.
//
// Rows are filled in blocks of kNodesPerBlock consecutive nodes, each by one worker straight from the scan, and stay
// where the worker has put them. There is no edge list, and the graph is the same for any number of threads:
//
//     block = node / kNodesPerBlock  ─►  offsets [n + 1]  ─►  targets […]
//                                                             kinds [2 bits each; absent when uniform]
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
#include <memory>
#include <span>
#include <vector>

#include "heapwalk/ids.h"
#include "heapwalk/large_arena.h"

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

// The finished rows of consecutive nodes. Borrows from the arena they were finished into.
struct EdgeRows {
  uint32_t rows = 0;
  uint8_t kinds_present = 0;  // bit k: has edges of kind k
  EdgeKind uniform = EdgeKind::exact;
  const uint16_t* offsets = nullptr;       // null where 16 bits are not enough
  const uint32_t* wide_offsets = nullptr;  // in use instead
  const uint8_t* kinds = nullptr;          // null: all edges are `uniform`
  std::span<const NodeId> targets;

  bool has_kind(EdgeKind kind) const { return (kinds_present >> static_cast<unsigned>(kind) & 1U) != 0; }
  EdgeKind kind_of(uint32_t edge) const {
    return kinds == nullptr ? uniform : static_cast<EdgeKind>(kinds[edge / 4] >> edge % 4 * 2 & 3);
  }
  uint32_t offset(uint32_t row) const { return offsets != nullptr ? offsets[row] : wide_offsets[row]; }
};

// Makes rows, one node at a time.
class EdgeBlock {
 public:
  // Sorts `row`, removes duplicates (best kind wins) and appends it as the next node's row. `row` is scratch. Returns the
  // number of edges dropped because the block would pass 2^32 edges: 0 for any core below 32 GiB.
  uint64_t append_row(std::vector<Edge>& row);
  EdgeRows finish(LargeArena& arena);  // moves the rows into the arena

 private:
  void set_kind(uint64_t edge, EdgeKind kind);

  uint8_t kinds_present_ = 0;
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
  // Blocks in node order, all but the last with kNodesPerBlock rows, finished into this arena.
  RetentionGraph(std::vector<EdgeRows> blocks, std::unique_ptr<const LargeArena> arena, uint32_t first_object);

  uint32_t node_count() const { return node_count_; }
  uint64_t edge_count() const { return edge_count_; }
  uint32_t first_object() const { return first_object_; }
  NodeId node_of(ObjectId id) const { return NodeId{first_object_ + heapwalk::index(id)}; }
  bool is_object(NodeId node) const { return heapwalk::index(node) >= first_object_; }
  ObjectId object_of(NodeId node) const { return ObjectId{heapwalk::index(node) - first_object_}; }

  // Edges are numbered within a block: those of a node are consecutive.
  struct EdgeRange {
    uint32_t begin;
    uint32_t end;
  };
  EdgeRange edges_of(NodeId node) const {
    const EdgeRows& block = block_of(node);
    return {block.offset(row_of(node)), block.offset(row_of(node) + 1)};
  }
  size_t block_count() const { return blocks_.size(); }
  std::span<const NodeId> block_targets(size_t block) const { return blocks_[block].targets; }  // by edge number
  std::span<const NodeId> targets(NodeId node) const {
    EdgeRange edges = edges_of(node);
    return block_of(node).targets.subspan(edges.begin, edges.end - edges.begin);
  }
  EdgeKind kind(NodeId node, uint32_t position) const {
    return block_of(node).kind_of(edges_of(node).begin + position);
  }
  bool has_kind(EdgeKind kind) const;  // has any edge this kind

  template <class F>  // f(NodeId target, EdgeKind), targets ascending
  void for_each_edge(NodeId node, F&& f) const {
    const EdgeRows& block = block_of(node);
    EdgeRange edges = edges_of(node);
    for (uint32_t edge = edges.begin; edge < edges.end; ++edge) f(block.targets[edge], block.kind_of(edge));
  }
  // Calls f(from, to) for all edges of one kind, in memory order. Quick where there are few: rows are not looked at.
  void for_each_edge_of_kind(EdgeKind kind, const std::function<void(NodeId, NodeId)>& f) const;
  void prefetch_offsets(NodeId node) const {
    const EdgeRows& block = block_of(node);
    __builtin_prefetch(block.offsets != nullptr ? static_cast<const void*>(block.offsets + row_of(node))
                                                : block.wide_offsets + row_of(node));
  }
  void prefetch_targets(NodeId node) const {
    const EdgeRows& block = block_of(node);
    __builtin_prefetch(block.targets.data() + block.offset(row_of(node)));
  }

  bool check() const;

 private:
  const EdgeRows& block_of(NodeId node) const { return blocks_[heapwalk::index(node) >> kBlockShift]; }
  static uint32_t row_of(NodeId node) { return heapwalk::index(node) & (kNodesPerBlock - 1); }

  std::unique_ptr<const LargeArena> arena_;
  std::vector<EdgeRows> blocks_;
  uint32_t node_count_ = 0;
  uint64_t edge_count_ = 0;
  uint32_t first_object_ = 0;
};

}  // namespace heapwalk
