// Joining the sinks: regions in address order, each sink's bits laid into pages of the common granule, its words
// appended and its memory released before the next one is read.
#include "heapwalk/object_index.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "heapwalk/large_pages.h"

namespace heapwalk {

ObjectIndex ObjectIndex::build(std::vector<AllocationSink> sinks, Diagnostics& diagnostics) {
  std::stable_sort(sinks.begin(), sinks.end(), [](const AllocationSink& a, const AllocationSink& b) {
    return a.region().begin < b.region().begin;
  });
  ObjectIndex result;
  size_t words = 0;
  for (const AllocationSink& sink : sinks) {
    result.granule_shift_ = std::min(result.granule_shift_, sink.granule_shift_);
    words += sink.words_.size();
  }
  reserve_large(result.words_, std::min<size_t>(words, UINT32_MAX));
  for (AllocationSink& sink : sinks) {
    AddressRange region = sink.region();
    if (sink.dropped() != 0) {
      diagnostics.add("dropped_block",
                      fmt::format("heap region 0x{:x}–0x{:x}: blocks out of order, overlapping or outside",
                                  region.begin.value, region.end.value),
                      sink.dropped());
    }
    if (region.empty()) continue;
    bool overlaps = !result.regions_.empty() && region.begin < result.regions_.back().end;
    if (overlaps || result.words_.size() + sink.words_.size() >= UINT32_MAX) {
      diagnostics.add(
          overlaps ? "overlapping_heap_region" : "too_many_allocations",
          fmt::format("heap region 0x{:x}–0x{:x}: {}", region.begin.value, region.end.value,
                      overlaps ? "overlaps the region before it, dropped" : "more than 2^32 allocations, dropped"));
    } else {
      result.append(sink);
    }
    sink = AllocationSink(region, sink.allocator(), 8);  // releases its memory
  }
  result.finish();
  return result;
}

void ObjectIndex::append(const AllocationSink& sink) {
  uint32_t first_id = size();
  regions_.push_back(sink.region());
  region_facts_.push_back({first_id, sink.allocator()});
  uint32_t finer = sink.granule_shift_ - granule_shift_;
  for (size_t p = 0; p < sink.pages_.size(); ++p) {
    for (uint32_t w = 0; w < sink.starts_[p].size(); ++w) {
      for (uint64_t bits = sink.starts_[p][w]; bits != 0; bits &= bits - 1) {
        uint64_t bit = w * 64 + static_cast<uint64_t>(std::countr_zero(bits));
        uint64_t granule = (sink.pages_[p] * kGranulesPerPage + bit) << finer;
        uint64_t page = granule / kGranulesPerPage;
        if (pages_.empty() || pages_.back() != page) {
          pages_.push_back(page);
          starts_.push_back({});
        }
        starts_.back()[granule % kGranulesPerPage / 64] |= 1ULL << (granule % 64);
      }
    }
  }
  words_.insert(words_.end(), sink.words_.begin(), sink.words_.end());
  for (const OddSize& odd : sink.odd_sizes_) odd_sizes_.push_back({first_id + odd.number, odd.size_bytes});
}

void ObjectIndex::finish() {
  pages_.shrink_to_fit();
  std::vector<PageStarts> starts;  // moved to where it fits
  reserve_large(starts, starts_.size());
  starts.insert(starts.end(), starts_.begin(), starts_.end());
  starts_ = std::move(starts);
  ranks_.reserve(pages_.size() + 1);
  uint32_t rank = 0;
  for (const PageStarts& page : starts_) {
    ranks_.push_back(rank);
    for (uint64_t bits : page) rank += static_cast<uint32_t>(std::popcount(bits));
  }
  ranks_.push_back(rank);
  directory_ = PageDirectory(pages_);
  uint32_t window_shift = page_shift() + PageDirectory::kWindowShift;
  for_each(0, size(), [&](ObjectId id, Address address, uint64_t size_bytes, AllocationState) {
    Address end = address + size_bytes;
    if (span_.empty()) span_.begin = address;
    span_.end = end;
    bool far = address.value >> window_shift != (end.value - 1) >> window_shift;
    if (far) far_.push_back({address, end, heapwalk::index(id)});
  });
}

ObjectIndex::Nearest ObjectIndex::last_of_page(uint32_t next_page) const {
  if (next_page == 0) return {};
  uint32_t word = kGranulesPerPage / 64 - 1;
  const PageStarts& starts = starts_[next_page - 1];
  while (starts[word] == 0) --word;  // a record has at least one start
  return {true, ranks_[next_page] - 1, start_of(pages_[next_page - 1], word, starts[word])};
}

ObjectIndex::Nearest ObjectIndex::nearest_far(Address address) const {
  auto after = std::upper_bound(far_.begin(), far_.end(), address,
                                [](Address a, const FarReaching& far) { return a < far.begin; });
  if (after == far_.begin()) return {};
  --after;
  return {true, after->id, after->begin};
}

uint64_t ObjectIndex::odd_size(uint32_t id) const {
  auto odd = std::lower_bound(odd_sizes_.begin(), odd_sizes_.end(), id,
                              [](const OddSize& o, uint32_t number) { return o.number < number; });
  return odd->size_bytes;
}

uint32_t ObjectIndex::page_of(uint32_t id) const {
  return static_cast<uint32_t>(std::upper_bound(ranks_.begin(), ranks_.end(), id) - ranks_.begin()) - 1;
}

std::optional<ObjectId> ObjectIndex::find(Address address) const {
  Nearest candidate = nearest(address, place(address));
  if (!candidate.found) return std::nullopt;
  ObjectId id{candidate.id};
  if (address - candidate.start >= size_bytes(id)) return std::nullopt;
  return id;
}

std::optional<ObjectId> ObjectIndex::find_used(Address address) const {
  std::optional<ObjectId> id = find(address);
  return id && is_used(*id) ? id : std::nullopt;
}

uint8_t ObjectIndex::allocator(ObjectId id) const {
  auto after = std::upper_bound(region_facts_.begin(), region_facts_.end(), heapwalk::index(id),
                                [](uint32_t number, const RegionFacts& facts) { return number < facts.first_id; });
  return (after - 1)->allocator;
}

Address ObjectIndex::address(ObjectId id) const {
  uint32_t page = page_of(heapwalk::index(id));
  uint32_t skip = heapwalk::index(id) - ranks_[page];
  uint32_t word = 0;
  for (uint32_t ones; (ones = static_cast<uint32_t>(std::popcount(starts_[page][word]))) <= skip; ++word) skip -= ones;
  uint64_t bits = starts_[page][word];
  for (; skip > 0; --skip) bits &= bits - 1;
  return start_of(pages_[page], word, bits & -bits);
}

Allocation ObjectIndex::at(ObjectId id) const {
  return {address(id), size_bytes(id), state(id), allocator(id)};
}

bool ObjectIndex::check() const {
  bool lawful = ranks_.empty() ? words_.empty() : ranks_.back() == words_.size();
  for (size_t r = 1; r < regions_.size(); ++r) lawful = lawful && regions_[r - 1].end <= regions_[r].begin;
  size_t region = 0;
  uint32_t expected = 0;
  Address end_of_last;
  for_each(0, size(), [&](ObjectId id, Address address, uint64_t size_bytes, AllocationState) {
    while (region < regions_.size() && address >= regions_[region].end) ++region;
    lawful = lawful && heapwalk::index(id) == expected++ && address >= end_of_last && size_bytes != 0 &&
             region < regions_.size() && regions_[region].contains(AddressRange::of(address, size_bytes));
    end_of_last = address + size_bytes;
  });
  return lawful && expected == size();
}

}  // namespace heapwalk
