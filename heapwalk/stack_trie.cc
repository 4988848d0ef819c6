#include "heapwalk/stack_trie.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace heapwalk {

// A choice of nodes to keep. What is not kept is added to the nearest kept node above it.
struct StackTrie::Cut {
  std::vector<bool> kept;
  std::vector<Values> own;     // by node: its own values without a label worth keeping
  std::vector<Values> folded;  // by node: of subtrees below it
};

StackTrie::StackTrie(size_t max_nodes) : max_nodes_(std::max<size_t>(max_nodes, 16)), slots_(1024) {
  new_node(kTop, kOtherFrame);
}

uint32_t StackTrie::new_node(uint32_t parent, uint32_t frame) {
  uint32_t node = size();
  parents_.push_back(parent);
  frames_.push_back(frame);
  depths_.push_back(node == kTop ? uint16_t{0} : static_cast<uint16_t>(depths_[parent] + 1));
  values_.emplace_back();
  return node;
}

StackTrie::Slot& StackTrie::find_slot(uint64_t key) {
  uint64_t hash = key * 0x9e3779b97f4a7c15ULL;
  size_t mask = slots_.size() - 1;
  size_t at = (hash >> 32) & mask;
  while (slots_[at].key != kEmpty && slots_[at].key != key) at = (at + 1) & mask;
  return slots_[at];
}

void StackTrie::insert(uint64_t key, uint32_t node) {
  if (used_slots_ * 2 >= slots_.size()) {
    std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
    for (const Slot& slot : old) {
      if (slot.key != kEmpty) find_slot(slot.key) = slot;
    }
  }
  find_slot(key) = {key, node};
  ++used_slots_;
}

uint32_t StackTrie::find_child(uint64_t key) {
  const Slot& slot = find_slot(key);
  if (slot.key == key) return slot.node;
  auto parent = static_cast<uint32_t>(key >> 32);
  auto frame = static_cast<uint32_t>(key);
  // Below "(other)" everything is other, and a full tree makes no new places.
  bool is_other = parent != kTop && frames_[parent] == kOtherFrame;
  if (is_other) return parent;
  bool is_label = (frame & kLabelBit) != 0;
  bool full = size() >= max_nodes_ || used_slots_ >= 2 * max_nodes_;
  if (full && is_label) return parent;
  if (!is_label && frame != kOtherFrame && (full || depths_[parent] >= kMaxDepth)) return child(parent, kOtherFrame);
  uint32_t node = is_label ? new_node(parent, frame) : make_child(parent, frame);
  insert(key, node);
  return node;
}

uint32_t StackTrie::make_child(uint32_t parent, uint32_t frame) {
  for (uint32_t node = parent; node != kTop; node = parents_[node]) {
    if (frames_[node] == frame) return node;
  }
  return new_node(parent, frame);
}

void StackTrie::finish() {
  totals_ = values_;
  for (uint32_t node = size() - 1; node > kTop; --node) totals_[parents_[node]] += totals_[node];
  std::vector<uint32_t> order(size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin() + 1, order.end(), [&](uint32_t a, uint32_t b) {
    // An "(other)" node is what cutting would make, so it is never kept as such.
    bool a_other = frames_[a] == kOtherFrame, b_other = frames_[b] == kOtherFrame;
    if (a_other != b_other) return b_other;
    if (totals_[a].bytes != totals_[b].bytes) return totals_[a].bytes > totals_[b].bytes;
    if (totals_[a].objects != totals_[b].objects) return totals_[a].objects > totals_[b].objects;
    return a < b;
  });
  ranks_.resize(size());
  for (uint32_t rank = 0; rank < order.size(); ++rank) ranks_[order[rank]] = rank;
}

StackTrie::Cut StackTrie::cut(size_t kept) const {
  Cut result{std::vector<bool>(size()), values_, std::vector<Values>(size())};
  for (uint32_t node = 0; node < size(); ++node) {
    result.kept[node] = node == kTop || (ranks_[node] <= kept && frames_[node] != kOtherFrame);
  }
  for (uint32_t node = 1; node < size(); ++node) {
    if (result.kept[node] || !result.kept[parents_[node]]) continue;
    bool is_label = (frames_[node] & kLabelBit) != 0;
    (is_label ? result.own : result.folded)[parents_[node]] += totals_[node];
  }
  return result;
}

size_t StackTrie::sample_count(size_t kept) const {
  Cut c = cut(kept);
  size_t count = 0;
  for (uint32_t node = 0; node < size(); ++node) {
    if (!c.kept[node]) continue;
    count += (c.own[node].objects != 0 ? 1 : 0) + (c.folded[node].objects != 0 ? 1 : 0);
  }
  return count;
}

size_t StackTrie::fit(size_t max_samples) const {
  if (sample_count(size()) <= max_samples) return size();
  size_t low = 0, high = size();  // low fits (or is as small as it gets), high does not
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    (sample_count(middle) <= max_samples ? low : high) = middle;
  }
  return low;
}

std::vector<StackTrie::Sample> StackTrie::samples(size_t kept) const {
  Cut c = cut(kept);
  std::vector<Sample> result;
  auto stack_of = [&](uint32_t node) {
    std::vector<uint32_t> frames;
    for (; node != kTop; node = parents_[node]) frames.push_back(frames_[node]);
    return frames;
  };
  for (uint32_t node = 0; node < size(); ++node) {
    if (!c.kept[node]) continue;
    bool is_label = (frames_[node] & kLabelBit) != 0;
    if (c.own[node].objects != 0) {
      Sample sample{stack_of(is_label ? parents_[node] : node), is_label, frames_[node] & ~kLabelBit, c.own[node]};
      if (!is_label) sample.label = 0;
      result.push_back(std::move(sample));
    }
    if (c.folded[node].objects != 0) {
      Sample sample{stack_of(node), false, 0, c.folded[node]};
      sample.frames.insert(sample.frames.begin(), kOtherFrame);
      result.push_back(std::move(sample));
    }
  }
  return result;
}

}  // namespace heapwalk
