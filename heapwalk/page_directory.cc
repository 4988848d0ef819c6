// Building the directory: one pass over the sorted page numbers. Every leaf of a window gets its `first`, also the
// empty ones, so that a lookup between two records needs no search.
#include "heapwalk/page_directory.h"

#include <algorithm>

namespace heapwalk {

PageDirectory::PageDirectory(std::span<const uint64_t> pages) {
  size_t windows = 0;
  for (size_t i = 0; i < pages.size(); ++i) {
    if (i == 0 || pages[i] >> kWindowShift != pages[i - 1] >> kWindowShift) ++windows;
  }
  slots_.assign(std::bit_ceil(windows * 2 + 1), Slot{});
  slot_mask_ = slots_.size() - 1;
  leaves_.resize(windows * kLeavesPerWindow);

  uint32_t window = 0;
  for (size_t i = 0; i < pages.size(); ++window) {
    uint64_t key = pages[i] >> kWindowShift;
    uint64_t slot = hash(key);
    while (slots_[slot & slot_mask_].key != kEmpty) ++slot;
    slots_[slot & slot_mask_] = {key, window};
    for (uint32_t l = 0; l < kLeavesPerWindow; ++l) {
      Leaf& leaf = leaves_[size_t{window} * kLeavesPerWindow + l];
      leaf.first = static_cast<uint32_t>(i);
      uint64_t leaf_key = key * kLeavesPerWindow + l;
      for (; i < pages.size() && pages[i] >> 6 == leaf_key; ++i) leaf.present |= 1ULL << (pages[i] & 63);
    }
  }
}

}  // namespace heapwalk
