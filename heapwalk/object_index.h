// Every allocation of every allocator, in address order, and the way from any address to the allocation around it.
//
//                    page (256 granules: 4 KiB at granule 16)            by ObjectId
//     address ─────► ┌──────────────────────────────┬────────────────┐   ┌──────────────┐
//       through the  │ starts: one bit per granule, │ rank: ObjectId │──►│ size, state  │
//       directory    │ set where an allocation      │ of the first   │   │ (16 bits)    │
//                    │ starts                       │ start here     │   └──────────────┘
//                    └──────────────────────────────┴────────────────┘
//
// An address maps to the last start at or before it, in O(1): set bits below it in its page, plus the rank. Interior
// pointers thus cost the same as exact ones; the size says whether the address is inside. An object costs 2 bytes and
// its share of the page, about 1; a lookup costs two cache misses, both of which a caller can prefetch.
//
// Rank and select on bitmaps: Jacobson, "Space-efficient static trees and graphs", FOCS 1989.
// Laws (check()): ids ascend with addresses; allocations are disjoint and inside their region; ranks count the bits.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dump/base/address.h"
#include "dump/base/diagnostics.h"
#include "heapwalk/allocation_sink.h"
#include "heapwalk/ids.h"
#include "heapwalk/page_directory.h"

namespace heapwalk {
class ObjectIndex {
 public:
  // Joins the sinks (any order; regions must be disjoint, an overlapping one is dropped with a diagnostic).
  static ObjectIndex build(std::vector<AllocationSink> sinks, Diagnostics& diagnostics);

  uint32_t size() const { return static_cast<uint32_t>(words_.size()); }
  uint64_t size_bytes(ObjectId id) const {
    uint32_t field = SizeWord::size_field(words_[index(id)]);
    return field == SizeWord::kElsewhere ? odd_size(index(id)) : uint64_t{field} * 8;
  }
  AllocationState state(ObjectId id) const { return SizeWord::state(words_[index(id)]); }
  bool is_used(ObjectId id) const { return state(id) == AllocationState::used; }
  uint8_t allocator(ObjectId id) const;  // O(log regions)
  Address address(ObjectId id) const;    // O(log): meant for output; iterate with for_each where speed counts
  Allocation at(ObjectId id) const;

  // The last allocation that starts at or before an address is the only one that may contain it. O(1). Who has many
  // addresses lets the steps wait for each other: place all, nearest all, then contains_used all; each one prefetches.
  struct Nearest {
    bool found = false;
    uint32_t id = 0;
    Address start;
  };
  [[gnu::always_inline]] PageDirectory::Place place(Address address) const {
    PageDirectory::Place place = directory_.find(address.value >> page_shift());
    __builtin_prefetch(starts_.data() + place.record);
    __builtin_prefetch(ranks_.data() + place.record);
    return place;
  }
  [[gnu::always_inline]] Nearest nearest(Address address, PageDirectory::Place place) const {
    if (!place.in_window) [[unlikely]]
      return nearest_far(address);
    uint32_t page = place.record;
    if (!place.has_record) return last_of_page(page);
    uint32_t granule = static_cast<uint32_t>(address.value >> granule_shift_) % kGranulesPerPage;
    const PageStarts& starts = starts_[page];
    uint32_t word = granule / 64;
    uint64_t bits = starts[word] & (~0ULL >> (63 - granule % 64));
    uint32_t id = ranks_[page] - 1 + static_cast<uint32_t>(std::popcount(bits));
    for (uint32_t w = 0; w < word; ++w) id += static_cast<uint32_t>(std::popcount(starts[w]));
    __builtin_prefetch(words_.data() + id);
    while (bits == 0 && word > 0) bits = starts[--word];
    if (bits == 0) return last_of_page(page);
    return {true, id, start_of(pages_[page], word, bits)};
  }
  bool contains_used(const Nearest& nearest, Address address) const {
    return nearest.found && is_used(ObjectId{nearest.id}) && address - nearest.start < size_bytes(ObjectId{nearest.id});
  }

  // The allocation of any state whose bytes contain the address, and the same if it is used. O(1).
  std::optional<ObjectId> find(Address address) const;
  std::optional<ObjectId> find_used(Address address) const;
  // A cheap first filter for candidate words: [lowest, highest) of all allocations, empty without any.
  AddressRange span() const { return span_; }

  std::span<const AddressRange> regions() const { return regions_; }  // sorted

  // Calls f(ObjectId, Address, size_bytes, AllocationState) for the ids [first, last) in order.
  template <class F>
  void for_each(uint32_t first, uint32_t last, F f) const {
    if (first >= last || last > size()) return;
    uint32_t page = page_of(first);
    uint32_t skip = first - ranks_[page];
    for (uint32_t id = first; id < last; ++page) {
      for (uint32_t w = 0; w < starts_[page].size(); ++w) {
        for (uint64_t bits = starts_[page][w]; bits != 0 && id < last; bits &= bits - 1) {
          if (skip > 0) {
            --skip;
            continue;
          }
          f(ObjectId{id}, start_of(pages_[page], w, bits & -bits), size_bytes(ObjectId{id}), state(ObjectId{id}));
          ++id;
        }
      }
    }
  }

  template <class F>
  void for_each(F f) const {
    for_each(0, size(), f);
  }
  bool check() const;

 private:
  struct RegionFacts {
    uint32_t first_id;
    uint8_t allocator;
  };
  struct FarReaching {  // reaches over the end of its window
    Address begin;
    Address end;
    uint32_t id;
  };

  uint32_t page_shift() const { return granule_shift_ + 8; }
  Address start_of(uint64_t page, uint32_t word, uint64_t bits) const {  // of the highest bit
    return Address{((page << 8) + word * 64 + (63 - static_cast<uint32_t>(std::countl_zero(bits)))) << granule_shift_};
  }
  Nearest last_of_page(uint32_t next_page) const;  // the last start before record `next_page`
  Nearest nearest_far(Address address) const;
  uint64_t odd_size(uint32_t id) const;
  uint32_t page_of(uint32_t id) const;  // the record in which allocation `id` starts
  void append(const AllocationSink& sink);
  void finish();

  uint32_t granule_shift_ = 4;  // the finest of all sinks
  PageDirectory directory_;
  std::vector<uint64_t> pages_;     // by record: page number
  std::vector<PageStarts> starts_;  // by record
  std::vector<uint32_t> ranks_;     // by record, and one more: the number of allocations
  std::vector<uint16_t> words_;     // by id: SizeWord
  std::vector<OddSize> odd_sizes_;
  std::vector<FarReaching> far_;
  std::vector<AddressRange> regions_;
  std::vector<RegionFacts> region_facts_;
  AddressRange span_;
};

}  // namespace heapwalk
