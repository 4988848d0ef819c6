// Rows are built in 32-bit offsets and packed when the block is complete; kinds are materialised at the first edge
// whose kind differs from all before it, so a graph without type information pays nothing for them.
#include "heapwalk/retention_graph.h"

#include <algorithm>

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
  wide_offsets_.push_back(static_cast<uint32_t>(targets_.size()));
  ++rows_;
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

EdgeKind EdgeBlock::kind(uint32_t row, uint32_t position) const {
  return kind_of(static_cast<uint64_t>(targets(row).data() - targets_.data()) + position);
}

void EdgeBlock::finish() {
  if (targets_.size() <= UINT16_MAX) {
    offsets_.assign(wide_offsets_.begin(), wide_offsets_.end());
    std::vector<uint32_t>().swap(wide_offsets_);
  } else {
    wide_offsets_.shrink_to_fit();
  }
  targets_.shrink_to_fit();
  kinds_.shrink_to_fit();
}

RetentionGraph::RetentionGraph(std::vector<EdgeBlock> blocks, uint32_t first_object)
    : blocks_(std::move(blocks)), first_object_(first_object) {
  for (const EdgeBlock& block : blocks_) node_count_ += block.rows();
}

uint64_t RetentionGraph::edge_count() const {
  uint64_t count = 0;
  for (const EdgeBlock& block : blocks_) count += block.edge_count();
  return count;
}

bool RetentionGraph::has_kind(EdgeKind kind) const {
  return std::any_of(blocks_.begin(), blocks_.end(), [&](const EdgeBlock& block) { return block.has_kind(kind); });
}

bool RetentionGraph::check() const {
  for (size_t b = 0; b + 1 < blocks_.size(); ++b) {
    if (blocks_[b].rows() != kNodesPerBlock) return false;
  }
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
