// The index against std::map on random layouts: every granule, gap, size and distance that an allocator may leave.
#include "heapwalk/object_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace heapwalk {
namespace {

using enum AllocationState;

ObjectIndex build_one(AllocationSink sink) {
  std::vector<AllocationSink> sinks;
  sinks.push_back(std::move(sink));
  Diagnostics diagnostics;
  return ObjectIndex::build(std::move(sinks), diagnostics);
}

AddressRange range(uint64_t begin, uint64_t size_bytes) {
  return AddressRange::of(Address{begin}, size_bytes);
}

TEST(AllocationSink, DropsAndCountsWhatBreaksTheLaw) {
  AllocationSink sink(range(0x1000, 0x1000), 0, 16);
  sink.add(Address{0x1010}, 40, used);
  sink.add(Address{0x1030}, 40, used);  // overlaps
  sink.add(Address{0x1000}, 16, used);  // goes back
  sink.add(Address{0x1048}, 16, used);  // not on a granule
  sink.add(Address{0x1050}, 0, used);   // empty
  sink.add(Address{0x1ff0}, 17, used);  // reaches out
  sink.add(Address{0x2000}, 16, used);  // outside
  sink.add(Address{0x1100}, UINT64_MAX, used);
  sink.add(Address{0x1ff0}, 16, free);
  EXPECT_EQ(sink.dropped(), 7U);
  EXPECT_EQ(sink.totals().bytes[static_cast<size_t>(used)], 40U);
  EXPECT_EQ(sink.totals().objects[static_cast<size_t>(free)], 1U);

  Diagnostics diagnostics;
  std::vector<AllocationSink> sinks;
  sinks.push_back(std::move(sink));
  ObjectIndex index = ObjectIndex::build(std::move(sinks), diagnostics);
  EXPECT_EQ(index.size(), 2U);
  EXPECT_EQ(diagnostics.count("dropped_block"), 7U);
  EXPECT_TRUE(index.check());
}

TEST(ObjectIndex, EmptyFindsNothing) {
  ObjectIndex none;
  EXPECT_EQ(none.find(Address{0x1000}), std::nullopt);
  EXPECT_TRUE(none.span().empty());
  EXPECT_TRUE(none.check());
  Diagnostics diagnostics;
  ObjectIndex empty = ObjectIndex::build({AllocationSink(range(0x1000, 64), 0, 16)}, diagnostics);
  EXPECT_EQ(empty.find(Address{0x1000}), std::nullopt);
  EXPECT_EQ(empty.regions().size(), 1U);
  EXPECT_TRUE(empty.check());
}

TEST(ObjectIndex, InteriorPointersAndGaps) {
  AllocationSink sink(range(0x7f00'0000'0000, 0x10000), 3, 16);
  sink.add(Address{0x7f00'0000'0010}, 40, used);
  sink.add(Address{0x7f00'0000'0040}, 24, free);
  sink.add(Address{0x7f00'0000'3000}, 0x8001, used);  // spans pages without a start of their own
  ObjectIndex index = build_one(std::move(sink));
  auto found = [&](uint64_t offset) { return index.find(Address{0x7f00'0000'0000 + offset}); };
  EXPECT_EQ(found(0x0f), std::nullopt);
  EXPECT_EQ(found(0x10), ObjectId{0});
  EXPECT_EQ(found(0x37), ObjectId{0});
  EXPECT_EQ(found(0x38), std::nullopt);  // the next chunk's header
  EXPECT_EQ(found(0x40), ObjectId{1});
  EXPECT_EQ(index.find_used(Address{0x7f00'0000'0040}), std::nullopt);
  EXPECT_EQ(found(0x2fff), std::nullopt);
  EXPECT_EQ(found(0xb000), ObjectId{2});
  EXPECT_EQ(found(0xb001), std::nullopt);
  Allocation last = index.at(ObjectId{2});
  EXPECT_EQ(last.address, Address{0x7f00'0000'3000});
  EXPECT_EQ(last.size_bytes, 0x8001U);
  EXPECT_EQ(last.allocator, 3);
  EXPECT_EQ(index.span(), (AddressRange{Address{0x7f00'0000'0010}, Address{0x7f00'0000'b001}}));
}

TEST(ObjectIndex, HugeAndFarAllocations) {
  constexpr uint64_t kTiB = uint64_t{1} << 40;
  std::vector<AllocationSink> sinks;
  sinks.emplace_back(range(0x00ff'0000'0000'0000, 64 * kTiB), uint8_t{1}, 16U);  // 57-bit addresses
  sinks.back().add(Address{0x00ff'0000'0000'0010}, 40 * kTiB, used);
  sinks.back().add(Address{0x00ff'0000'0000'0020 + 40 * kTiB}, 16, used);
  sinks.emplace_back(range(0xffff'ffff'ffff'0000, 0x8000), uint8_t{2}, 8U);
  sinks.back().add(Address{0xffff'ffff'ffff'0008}, 0x7ff8, used);
  Diagnostics diagnostics;
  ObjectIndex index = ObjectIndex::build(std::move(sinks), diagnostics);
  ASSERT_TRUE(index.check());
  EXPECT_EQ(index.find(Address{0x00ff'0000'0000'0010 + 39 * kTiB}), ObjectId{0});
  EXPECT_EQ(index.size_bytes(ObjectId{0}), 40 * kTiB);
  EXPECT_EQ(index.find(Address{0x00ff'0000'0000'0010 + 40 * kTiB}), std::nullopt);
  EXPECT_EQ(index.find(Address{0x00ff'0000'0000'0020 + 40 * kTiB}), ObjectId{1});
  EXPECT_EQ(index.find(Address{0x00ff'0000'0000'0030 + 50 * kTiB}), std::nullopt);
  EXPECT_EQ(index.find(Address{0xffff'ffff'ffff'7fff}), ObjectId{2});
  EXPECT_EQ(index.find(Address{UINT64_MAX}), std::nullopt);
  EXPECT_EQ(index.find(Address{0}), std::nullopt);
  EXPECT_EQ(index.allocator(ObjectId{2}), 2);
}

TEST(ObjectIndex, OverlappingRegionIsDroppedAloud) {
  std::vector<AllocationSink> sinks;
  sinks.emplace_back(range(0x2000, 0x1000), uint8_t{1}, 16U);
  sinks.back().add(Address{0x2000}, 32, used);
  sinks.emplace_back(range(0x1000, 0x1010), uint8_t{0}, 16U);
  sinks.back().add(Address{0x1000}, 16, used);
  Diagnostics diagnostics;
  ObjectIndex index = ObjectIndex::build(std::move(sinks), diagnostics);
  EXPECT_EQ(index.size(), 1U);
  EXPECT_EQ(index.address(ObjectId{0}), Address{0x1000});
  EXPECT_EQ(diagnostics.count("overlapping_heap_region"), 1U);
}

// 65,000 chunks of their own mappings: lookups are exact, and the index is small (a dense bitmap would be 500 MB).
TEST(ObjectIndex, ManySmallRegions) {
  std::vector<AllocationSink> sinks;
  for (uint64_t i = 0; i < 65'000; ++i) {
    sinks.emplace_back(range(0x7000'0000'0000 + i * 0x80'0000, 0x40'0000), uint8_t{0}, 16U);
    sinks.back().add(Address{0x7000'0000'0010 + i * 0x80'0000}, 0x3f'fff0, used);
  }
  Diagnostics diagnostics;
  ObjectIndex index = ObjectIndex::build(std::move(sinks), diagnostics);
  ASSERT_EQ(index.size(), 65'000U);
  for (uint64_t i = 0; i < 65'000; i += 7) {
    EXPECT_EQ(index.find(Address{0x7000'0010'0000 + i * 0x80'0000}), ObjectId{static_cast<uint32_t>(i)});
    EXPECT_EQ(index.find(Address{0x7000'0040'0000 + i * 0x80'0000}), std::nullopt);
  }
}

class RandomLayout {
 public:
  explicit RandomLayout(uint64_t seed) : random_(seed) {
    uint64_t base = below(3) == 0 ? 0x7fff'f000'0000 : below(2) == 0 ? 0x10000 : (random_() >> 3) & ~uint64_t{4095};
    for (uint64_t regions = 1 + below(6); regions-- > 0;) {
      base += below(4) == 0 ? 0 : below(1ULL << below(40)) & ~uint64_t{15};  // often touching
      uint64_t size_bytes = (below(1ULL << (6 + below(36))) & ~uint64_t{15}) + 16;
      add_region(range(base, size_bytes), below(2) == 0 ? 16 : 8);
      base += size_bytes;
    }
    Diagnostics diagnostics;
    index_ = ObjectIndex::build(std::move(sinks_), diagnostics);
  }

  void compare() {
    ASSERT_TRUE(index_.check());
    ASSERT_EQ(index_.size(), expected_.size());
    for (const auto& [address, allocation] : expected_) {
      uint64_t size = allocation.size_bytes;
      for (uint64_t at : {address - 1, address, address + size / 2, address + size - 1, address + size}) compare(at);
    }
    for (int i = 0; i < 100; ++i) compare(random_());
    uint32_t first = static_cast<uint32_t>(below(index_.size() + 1));
    uint32_t last = first + static_cast<uint32_t>(below(index_.size() - first + 1));
    uint32_t next = first;
    index_.for_each(first, last, [&](ObjectId id, Address address, uint64_t size_bytes, AllocationState state) {
      ASSERT_EQ(id, ObjectId{next++});
      ASSERT_EQ(address, index_.address(id));
      ASSERT_EQ(size_bytes, index_.size_bytes(id));
      ASSERT_EQ(state, index_.state(id));
    });
    ASSERT_EQ(next, last);
  }

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }

  void add_region(AddressRange region, uint32_t granule) {
    auto allocator = static_cast<uint8_t>(sinks_.size());
    AllocationSink& sink = sinks_.emplace_back(region, allocator, granule);
    Address at = region.begin;
    for (uint64_t count = below(600); count > 0; --count) {
      if (below(3) == 0) at += below(1ULL << below(20));
      at = at.align_up(granule);
      uint64_t size_bytes = 1 + below(1ULL << below(below(10) == 0 ? 40 : 8));
      if (at >= region.end || size_bytes > region.end - at) break;
      auto state = static_cast<AllocationState>(below(kAllocationStates));
      sink.add(at, size_bytes, state);
      expected_[at.value] = {at, size_bytes, state, allocator};
      at += size_bytes;
    }
  }

  void compare(uint64_t address) {
    auto after = expected_.upper_bound(address);
    const Allocation* expected = after == expected_.begin() ? nullptr : &std::prev(after)->second;
    if (expected != nullptr && address - expected->address.value >= expected->size_bytes) expected = nullptr;
    std::optional<ObjectId> found = index_.find(Address{address});
    ASSERT_EQ(found.has_value(), expected != nullptr) << std::hex << address;
    ASSERT_EQ(index_.find_used(Address{address}).has_value(), expected != nullptr && expected->state == used);
    if (!found) return;
    Allocation allocation = index_.at(*found);
    ASSERT_EQ(allocation.address, expected->address);
    ASSERT_EQ(allocation.size_bytes, expected->size_bytes);
    ASSERT_EQ(allocation.state, expected->state);
    ASSERT_EQ(allocation.allocator, expected->allocator);
  }

  std::mt19937_64 random_;
  std::vector<AllocationSink> sinks_;
  std::map<uint64_t, Allocation> expected_;
  ObjectIndex index_;
};

TEST(ObjectIndex, AgreesWithAMapOnRandomLayouts) {
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    SCOPED_TRACE(seed);
    RandomLayout(seed).compare();
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace heapwalk
