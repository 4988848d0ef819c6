#include "dump/address_space.h"

#include <gtest/gtest.h>

#include <random>

namespace heapwalk {
namespace {

// 256 bytes with the values 0…255, and 256 that are all 0xee.
struct Storage {
  Storage() {
    for (size_t i = 0; i < 256; ++i) counting[i] = static_cast<std::byte>(i);
    other.fill(std::byte{0xee});
  }
  std::array<std::byte, 256> counting;
  std::array<std::byte, 256> other;
};

AddressRange range(uint64_t begin, uint64_t end) {
  return {Address{begin}, Address{end}};
}

class AddressSpaceTest : public testing::Test {
 protected:
  Region core(uint64_t begin, uint64_t end, size_t at = 0) {
    return {range(begin, end), ByteState::core, storage_.counting.data() + at};
  }
  Region file(uint64_t begin, uint64_t end) { return {range(begin, end), ByteState::file, storage_.other.data()}; }
  Region absent(uint64_t begin, uint64_t end) { return {range(begin, end), ByteState::absent, nullptr}; }
  Storage storage_;
};

TEST_F(AddressSpaceTest, EmptyKnowsNothing) {
  AddressSpace space;
  EXPECT_TRUE(space.check());
  EXPECT_EQ(space.find(Address{0}), nullptr);
  EXPECT_TRUE(space.read(Address{0}, 8).empty());
  EXPECT_FALSE(space.read_word(Address{0}));
}

TEST_F(AddressSpaceTest, ReadsStopAtTheEndOfWhatIsKnown) {
  AddressSpace space({core(1000, 1100), absent(1100, 1200)});
  EXPECT_EQ(space.read(Address{1090}, 50).size(), 10U);
  EXPECT_TRUE(space.read(Address{1100}, 1).empty());
  EXPECT_TRUE(space.read_exactly(Address{1090}, 11).empty());
  EXPECT_EQ(space.read_exactly(Address{1090}, 10).size(), 10U);
  EXPECT_EQ(space.read<uint8_t>(Address{1099}), 99);
  EXPECT_FALSE(space.read<uint16_t>(Address{1099}));
  EXPECT_EQ(space.find(Address{1150})->state, ByteState::absent);
  EXPECT_EQ(space.find(Address{1200}), nullptr);
}

TEST_F(AddressSpaceTest, TouchingRegionsWithTouchingBytesAreOne) {
  AddressSpace space({core(1064, 1128, 64), core(1000, 1064, 0), absent(1128, 1140), absent(1140, 1150)});
  ASSERT_EQ(space.regions().size(), 2U);
  EXPECT_EQ(space.read(Address{1000}, 1000).size(), 128U);
  EXPECT_EQ(space.regions()[1].range, range(1128, 1150));
}

TEST_F(AddressSpaceTest, TouchingRegionsWithBytesElsewhereStayApartAndReadAcross) {
  AddressSpace space({core(1000, 1004, 0), core(1004, 1100, 100)});
  ASSERT_EQ(space.regions().size(), 2U);
  EXPECT_TRUE(space.read_exactly(Address{1000}, 8).empty());
  EXPECT_EQ(space.read_word(Address{1000}), 0x6766656403020100U);
}

TEST_F(AddressSpaceTest, CoreBeatsFileBeatsAbsent) {
  AddressSpace space({absent(1000, 1100), file(1010, 1090), core(1020, 1030)});
  EXPECT_TRUE(space.check());
  ASSERT_EQ(space.regions().size(), 5U);
  EXPECT_EQ(space.find(Address{1009})->state, ByteState::absent);
  EXPECT_EQ(space.find(Address{1010})->state, ByteState::file);
  EXPECT_EQ(space.read<uint8_t>(Address{1020}), 0);
  EXPECT_EQ(space.read<uint8_t>(Address{1030}), 0xee);
  EXPECT_EQ(space.find(Address{1095})->state, ByteState::absent);
}

TEST_F(AddressSpaceTest, OfTwoOverlappingCoreRegionsTheFirstGivenWins) {
  AddressSpace space({core(1000, 1020, 0), core(990, 1010, 100)});
  EXPECT_EQ(space.read<uint8_t>(Address{999}), 109);
  EXPECT_EQ(space.read<uint8_t>(Address{1000}), 0);
  EXPECT_EQ(space.read<uint8_t>(Address{1019}), 19);
}

TEST_F(AddressSpaceTest, TheHighestAddressesWork) {
  AddressSpace space({core(0xffffffffff600000, 0xffffffffff600100), core(0x1000, 0x1100)});
  EXPECT_EQ(space.read<uint8_t>(Address{0xffffffffff600080}), 0x80);
  EXPECT_EQ(space.regions().front().range.begin, Address{0x1000});
}

TEST_F(AddressSpaceTest, Strings) {
  storage_.other[3] = std::byte{0};
  AddressSpace space({file(1000, 1010)});
  EXPECT_EQ(space.read_c_string(Address{1000}), "\xee\xee\xee");
  EXPECT_EQ(space.read_c_string(Address{1003}), "");
  EXPECT_FALSE(space.read_c_string(Address{1004}));
  EXPECT_FALSE(space.read_c_string(Address{1000}, 3));
}

TEST_F(AddressSpaceTest, CopyAcrossRegionsAndNotAcrossHoles) {
  AddressSpace space({core(1000, 1010), file(1010, 1020), core(1030, 1040)});
  std::array<std::byte, 12> out;
  EXPECT_TRUE(space.copy(Address{1004}, out));
  EXPECT_EQ(out[5], std::byte{9});
  EXPECT_EQ(out[6], std::byte{0xee});
  EXPECT_FALSE(space.copy(Address{1018}, out));
}

// Against the obvious algorithm: for every byte, the best region that has it.
TEST_F(AddressSpaceTest, RandomOverlapsAgreeWithTheObviousAlgorithm) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    std::vector<Region> regions;
    for (size_t i = random() % 12; i > 0; --i) {
      uint64_t begin = random() % 100;
      uint64_t end = begin + random() % 40;
      if (random() % 3 == 0) {
        regions.push_back(absent(begin, end));
      } else {
        regions.push_back(random() % 2 == 0 ? core(begin, end, random() % 100) : file(begin, end));
      }
    }
    AddressSpace space(regions);
    ASSERT_TRUE(space.check());
    for (uint64_t address = 0; address < 150; ++address) {
      const Region* best = nullptr;
      for (const Region& region : regions)
        if (region.range.contains(Address{address}) && (best == nullptr || region.state < best->state)) best = &region;
      const Region* found = space.find(Address{address});
      ASSERT_EQ(best == nullptr, found == nullptr) << address;
      if (best == nullptr) continue;
      ASSERT_EQ(found->state, best->state);
      if (best->data == nullptr) continue;
      ASSERT_EQ(found->data + (Address{address} - found->range.begin),
                best->data + (Address{address} - best->range.begin));
    }
  }
}

}  // namespace
}  // namespace heapwalk
