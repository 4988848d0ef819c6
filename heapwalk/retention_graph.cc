// Blocks are built with 32-bit offsets and packed when they are finished; kinds are materialised at the first edge
// whose kind differs from all before it, so a graph without type information pays nothing for them.
#include "heapwalk/retention_graph.h"

#include <algorithm>
#include <utility>

namespace heapwalk {

uint64_t EdgeBlock::append_row(std::vector<Edge>& row) {
  std::sort(row.begin(), row.end());
  row.erase(std::unique(row.begin(), row.end(), [](const Edge& a, const Edge& b) { return a.target == b.target; }),
            row.end());
  uint64_t dropped = 0;
  if (row.size() > UINT32_MAX - targets_.size()) {
    dropped = row.size() - (UINT32_MAX - targets_.size());
    row.resize(row.size() - dropped);
  }
  for (const Edge& edge : row) {
    set_kind(targets_.size(), edge.kind);
    targets_.push_back(edge.target);
  }
  offsets_.push_back(static_cast<uint32_t>(targets_.size()));
  return dropped;
}

void EdgeBlock::set_kind(uint64_t edge, EdgeKind kind) {
  kinds_present_ = static_cast<uint8_t>(kinds_present_ | 1U << static_cast<unsigned>(kind));
  if (edge == 0) uniform_ = kind;
  if (kinds_.empty()) {
    if (kind == uniform_) return;
    auto four = static_cast<uint8_t>(static_cast<unsigned>(uniform_) * 0x55U);
    kinds_.assign(edge / 4 + 1, four);
  }
  if (edge / 4 >= kinds_.size()) kinds_.push_back(0);
  unsigned shift = edge % 4 * 2;
  uint8_t& byte = kinds_[edge / 4];
  byte = static_cast<uint8_t>((byte & ~(3U << shift)) | static_cast<unsigned>(kind) << shift);
}

EdgeRows EdgeBlock::finish(LargeArena& arena) {
  EdgeRows rows;
  rows.rows = static_cast<uint32_t>(offsets_.size() - 1);
  rows.kinds_present = kinds_present_;
  rows.uniform = uniform_;
  if (targets_.size() > UINT16_MAX) {
    rows.wide_offsets = arena.store(std::span<const uint32_t>(offsets_)).data();
  } else {
    const std::vector<uint16_t> narrow(offsets_.begin(), offsets_.end());
    rows.offsets = arena.store(std::span<const uint16_t>(narrow)).data();
  }
  if (!kinds_.empty()) rows.kinds = arena.store(std::span<const uint8_t>(kinds_)).data();
  rows.targets = arena.store(std::span<const NodeId>(targets_));
  *this = EdgeBlock();
  return rows;
}

RetentionGraph::RetentionGraph(std::vector<EdgeRows> blocks, std::unique_ptr<const LargeArena> arena,
                               uint32_t first_object)
    : arena_(std::move(arena)), blocks_(std::move(blocks)), first_object_(first_object) {
  for (const EdgeRows& block : blocks_) {
    node_count_ += block.rows;
    edge_count_ += block.targets.size();
  }
}

bool RetentionGraph::has_kind(EdgeKind kind) const {
  return std::any_of(blocks_.begin(), blocks_.end(), [&](const EdgeRows& block) { return block.has_kind(kind); });
}

void RetentionGraph::for_each_edge_of_kind(EdgeKind kind, const std::function<void(NodeId, NodeId)>& f) const {
  const auto four = static_cast<uint8_t>(static_cast<unsigned>(kind) * 0x55U);
  for (size_t b = 0; b < blocks_.size(); ++b) {
    const EdgeRows& block = blocks_[b];
    if (!block.has_kind(kind)) continue;
    uint32_t row = 0;
    for (uint32_t edge = 0; edge < block.targets.size(); ++edge) {
      if (block.kinds != nullptr && edge % 4 == 0) {  // four at once: a byte with none of the kind is skipped
        unsigned differs = block.kinds[edge / 4] ^ four;
        if (((differs | differs >> 1) & 0x55U) == 0x55U) {
          edge += 3;
          continue;
        }
      }
      if (block.kind_of(edge) != kind) continue;
      while (edge >= block.offset(row + 1)) ++row;
      f(NodeId{static_cast<uint32_t>(b << kBlockShift) + row}, block.targets[edge]);
    }
  }
}

bool RetentionGraph::check() const {
  if (blocks_.size() != (size_t{node_count_} + kNodesPerBlock - 1) / kNodesPerBlock) return false;
  if (first_object_ < 2 || first_object_ > node_count_) return false;
  for (uint32_t node = 0; node < node_count_; ++node) {
    uint64_t previous = heapwalk::index(kUnreachableNode);
    for (NodeId target : targets(NodeId{node})) {
      uint32_t to = heapwalk::index(target);
      if (to <= previous || to >= node_count_ || to == node) return false;
      previous = to;
    }
  }
  return targets(kUnreachableNode).empty();
}

}  // namespace heapwalk
