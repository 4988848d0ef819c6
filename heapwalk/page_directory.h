// From any address of the 64-bit space to the last page with a start at or before it.
//
//     address ─┬─ window (16384 pages: 64 MiB at granule 16) ─► hash table, a handful of entries: stays in the cache
//              ├─ leaf   (64 pages) ────────────────────────► { which pages have a record, number of the first }
//              ├─ page   (256 granules) ────────────────────► record: bitmap of starts, rank
//              └─ granule
//
// Only pages in which an allocation starts have a record, so 65,000 mapped chunks of 1 MiB cost 65,000 records and not
// sixteen million. A page without a record belongs to the record before it, as the address does to the last start.
// A window in which nothing starts has no entry either: who looks there finds nothing, unless one of the few
// allocations that reach over a window's end covers it (ObjectIndex keeps those in a list).
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace heapwalk {

class PageDirectory {
 public:
  static constexpr uint32_t kWindowShift = 14;  // pages per window

  PageDirectory() = default;
  // Page numbers of all records, strictly ascending, fewer than 2^32.
  explicit PageDirectory(std::span<const uint64_t> pages);

  // Where a page stands among the records.
  struct Place {
    bool in_window = false;   // false: no record in the page's window, the rest is not set
    bool has_record = false;  // the page itself has a record: number `record`; else `record` is the next one's number
    uint32_t record = 0;
  };

  [[gnu::always_inline]] Place find(uint64_t page) const {
    uint64_t key = page >> kWindowShift;
    for (uint64_t slot = hash(key);; ++slot) {
      const Slot& candidate = slots_[slot & slot_mask_];
      if (candidate.key == key) return find_in_window(candidate.window, page);
      if (candidate.key == kEmpty) return {};
    }
  }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;  // page numbers have at most 64 − 11 bits, keys fewer
  static constexpr uint32_t kLeavesPerWindow = (1U << kWindowShift) / 64;

  struct Slot {
    uint64_t key = kEmpty;
    uint32_t window = 0;
  };
  struct Leaf {
    uint64_t present = 0;  // bit p: page p of the leaf has a record
    uint32_t first = 0;    // number of the first record at or after the leaf's first page
  };

  uint64_t hash(uint64_t key) const { return key * 0x9E3779B97F4A7C15ULL >> 32; }
  [[gnu::always_inline]] Place find_in_window(uint32_t window, uint64_t page) const {
    const Leaf& leaf = leaves_[size_t{window} * kLeavesPerWindow + (page >> 6 & (kLeavesPerWindow - 1))];
    uint64_t bit = 1ULL << (page & 63);
    return {true, (leaf.present & bit) != 0,
            leaf.first + static_cast<uint32_t>(std::popcount(leaf.present & (bit - 1)))};
  }

  std::vector<Slot> slots_ = std::vector<Slot>(1);  // open addressing, a power of two, at most half full
  uint64_t slot_mask_ = 0;
  std::vector<Leaf> leaves_;
};

}  // namespace heapwalk
