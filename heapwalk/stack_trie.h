// Weighted stacks as a prefix tree: the shared part of two stacks is stored once.
//
//     top ─┬─ [global] cache ── Session ─┬─ Node ······ 64-byte class: 12,000 objects, 576 kB
//          │                             └─ (other)
//          └─ [shared] ── Session
//
// Numbers: a node's parent has a smaller number. A frame occurs at most once between a node and the top: to enter a frame
// that is already there leads back to it (loop erasure). Below a node hang values by label, which are leaves of the tree too.
//
// Input can make the tree as large as it likes, so its size and depth are bounded: what does not fit goes to an
// "(other)" node below the deepest place that does, and keeps its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace heapwalk {

class StackTrie {
 public:
  static constexpr uint32_t kTop = 0;
  static constexpr uint32_t kOtherFrame = 0x7fffffff;  // frames given by callers are smaller
  static constexpr uint32_t kMaxDepth = 256;

  struct Values {
    uint64_t bytes = 0;
    uint64_t objects = 0;
    Values& operator+=(const Values& v) {
      bytes += v.bytes;
      objects += v.objects;
      return *this;
    }
  };

  explicit StackTrie(size_t max_nodes);

  uint32_t child(uint32_t parent, uint32_t frame) {
    uint64_t key = uint64_t{parent} << 32 | frame;
    if (key != last_key_) {
      last_node_ = find_child(key);
      last_key_ = key;
    }
    return last_node_;
  }
  // The frame that `node` stands for; kOtherFrame where the tree was full.
  uint32_t frame(uint32_t node) const { return frames_[node]; }
  uint32_t size() const { return static_cast<uint32_t>(parents_.size()); }

  // Adds one object to the node's values under `label` (below 2^31).
  void add(uint32_t node, uint32_t label, uint64_t bytes) { values_[child(node, kLabelBit | label)] += {bytes, 1}; }

  // Once everything was added, before the questions below.
  void finish();

  struct Sample {
    std::vector<uint32_t> frames;  // leaf first; kOtherFrame for what was folded
    bool has_label = false;
    uint32_t label = 0;
    Values values;
  };
  // The samples of the `kept` heaviest nodes, the rest folded; all of them when it is size() or more.
  std::vector<Sample> samples(size_t kept) const;
  // The largest `kept` for which samples(kept) has at most `max_samples` entries, or 0.
  size_t fit(size_t max_samples) const;
  size_t sample_count(size_t kept) const;  // of samples(kept)

 private:
  static constexpr uint32_t kLabelBit = 0x80000000;
  struct Slot {
    uint64_t key = kEmpty;
    uint32_t node = 0;
  };
  static constexpr uint64_t kEmpty = UINT64_MAX;
  struct Cut;

  uint32_t find_child(uint64_t key);
  uint32_t make_child(uint32_t parent, uint32_t frame);
  uint32_t new_node(uint32_t parent, uint32_t frame);
  Slot& find_slot(uint64_t key);
  void insert(uint64_t key, uint32_t node);
  Cut cut(size_t kept) const;

  size_t max_nodes_;
  std::vector<uint32_t> parents_;
  std::vector<uint32_t> frames_;
  std::vector<uint16_t> depths_;
  std::vector<Values> values_;  // of the node itself
  std::vector<Slot> slots_;     // a power of two
  size_t used_slots_ = 0;
  uint64_t last_key_ = kEmpty;
  uint32_t last_node_ = 0;
  // Filled by finish().
  std::vector<Values> totals_;   // of the subtree
  std::vector<uint32_t> ranks_;  // by descending total: a parent ranks before its children
};

}  // namespace heapwalk
