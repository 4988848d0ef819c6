#include "dump/base/address.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace heapwalk {
namespace {

TEST(Address, ArithmeticIsUnsignedUpToTheTop) {
  Address vsyscall{0xffffffffff600000};
  EXPECT_GT(vsyscall, Address{0x7fffffffffff});
  EXPECT_EQ(vsyscall - Address{0x1000}, 0xffffffffff5ff000U);
  EXPECT_EQ((vsyscall + 0xa00000).value, 0U);
}

TEST(Address, Alignment) {
  EXPECT_EQ(Address{0x1234}.align_down(0x100), Address{0x1200});
  EXPECT_EQ(Address{0x1234}.align_up(0x100), Address{0x1300});
  EXPECT_EQ(Address{0x1200}.align_up(0x100), Address{0x1200});
  EXPECT_TRUE(Address{0x1200}.is_aligned(16));
  EXPECT_FALSE(Address{0x1208}.is_aligned(16));
}

TEST(AddressRange, IsHalfOpen) {
  AddressRange range = AddressRange::of(Address{100}, 10);
  EXPECT_TRUE(range.contains(Address{100}));
  EXPECT_TRUE(range.contains(Address{109}));
  EXPECT_FALSE(range.contains(Address{110}));
  EXPECT_FALSE(range.contains(Address{99}));
  EXPECT_EQ(range.size_bytes(), 10U);
}

TEST(AddressRange, NeighboursDoNotOverlap) {
  AddressRange low{Address{0}, Address{10}};
  AddressRange high{Address{10}, Address{20}};
  EXPECT_FALSE(low.overlaps(high));
  EXPECT_TRUE(low.intersect(high).empty());
  EXPECT_TRUE(low.overlaps({Address{9}, Address{11}}));
  EXPECT_EQ(high.intersect({Address{5}, Address{12}}), (AddressRange{Address{10}, Address{12}}));
}

TEST(AddressRange, BackwardRangeIsEmpty) {
  AddressRange backward{Address{20}, Address{10}};
  EXPECT_TRUE(backward.empty());
  EXPECT_EQ(backward.size_bytes(), 0U);
  EXPECT_FALSE(backward.contains(Address{15}));
}

TEST(Address, Hashes) {
  std::unordered_set<Address> set = {Address{1}, Address{2}, Address{1}};
  EXPECT_EQ(set.size(), 2U);
}

}  // namespace
}  // namespace heapwalk
