#include "dump/base/byte_reader.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace heapwalk {
namespace {

constexpr std::array<unsigned char, 8> kData = {1, 2, 3, 4, 'h', 'i', 0, 9};
Bytes data() {
  return std::as_bytes(std::span(kData));
}

TEST(ByteReader, ReadsLittleEndianAtOddOffsets) {
  ByteReader reader(data());
  EXPECT_EQ(reader.read<uint8_t>(), 1);
  EXPECT_EQ(reader.read<uint16_t>(), 0x0302);
  EXPECT_EQ(reader.offset(), 3U);
}

TEST(ByteReader, FailureDoesNotAdvance) {
  ByteReader reader(data());
  ASSERT_TRUE(reader.skip(5));
  EXPECT_FALSE(reader.read<uint32_t>());
  EXPECT_FALSE(reader.read_bytes(4));
  EXPECT_FALSE(reader.skip(std::numeric_limits<size_t>::max()));
  EXPECT_FALSE(reader.seek(9));
  EXPECT_EQ(reader.offset(), 5U);
  EXPECT_EQ(reader.remaining(), 3U);
}

TEST(ByteReader, StringsNeedTheirNul) {
  ByteReader reader(data());
  ASSERT_TRUE(reader.seek(4));
  EXPECT_EQ(reader.read_c_string(), "hi");
  EXPECT_EQ(reader.offset(), 7U);
  EXPECT_FALSE(reader.read_c_string());
  EXPECT_EQ(reader.offset(), 7U);
  ASSERT_TRUE(reader.skip(1));
  EXPECT_FALSE(reader.read_c_string());
}

}  // namespace
}  // namespace heapwalk
