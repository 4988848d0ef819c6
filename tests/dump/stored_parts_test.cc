// Holes of a core file: what was resident. The files are written as the kernel writes them, by seeking over what is not there.
#include "dump/stored_parts.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace heapwalk {
namespace {

constexpr uint64_t kPage = 4096;

class StoredPartsTest : public testing::Test {
 protected:
  // A file of `pages` pages, those listed with data.
  void write(uint64_t pages, const std::vector<uint64_t>& stored) {
    dump_.path = directory_.file("core");
    dump_.file_size_bytes = pages * kPage;
    const int file = ::open(dump_.path.c_str(), O_CREAT | O_TRUNC | O_RDWR, 0600);
    ASSERT_GE(file, 0);
    ASSERT_EQ(::ftruncate(file, static_cast<off_t>(pages * kPage)), 0);
    const std::vector<char> page(kPage);  // zeros, but stored
    for (uint64_t at : stored)
      ASSERT_EQ(::pwrite(file, page.data(), kPage, static_cast<off_t>(at * kPage)), static_cast<ssize_t>(kPage));
    const bool has_holes = ::lseek(file, 0, SEEK_HOLE) < static_cast<off_t>(pages * kPage);
    ::close(file);
    if (!has_holes && stored.size() < pages) GTEST_SKIP() << "this file system has no holes";
  }
  // Pages [1, pages) of the file, mapped from 0x10000 on.
  static Mapping mapping(uint64_t pages) {
    return {.range = AddressRange::of(Address{0x10000}, (pages - 1) * kPage),
            .readable = true,
            .path = {},
            .bytes_in_core = (pages - 1) * kPage,
            .core_offset = kPage};
  }

  test::TemporaryDirectory directory_;
  CoreDump dump_;
};

TEST_F(StoredPartsTest, CountsWhatIsNoHole) {
  write(64, {0, 1, 2, 10, 11, 63});
  const auto parts = StoredParts::of(dump_);
  ASSERT_TRUE(parts);
  const Mapping all = mapping(64);
  EXPECT_EQ(parts->bytes(all, all.range), 5 * kPage);
  EXPECT_EQ(parts->bytes(all, AddressRange::of(Address{0x10000}, kPage)), kPage);
  EXPECT_EQ(parts->bytes(all, AddressRange::of(Address{0x10000 + 2 * kPage}, 8 * kPage)), kPage);
  EXPECT_EQ(parts->bytes(all, AddressRange::of(Address{0x10000 + 20 * kPage}, 8 * kPage)), 0U);
  EXPECT_EQ(parts->bytes(all, {Address{0}, Address{UINT64_MAX}}), 5 * kPage);
  EXPECT_EQ(parts->bytes(all, {}), 0U);
}

TEST_F(StoredPartsTest, AMappingThatTheCoreLacksHasNone) {
  write(8, {0, 1});
  const auto parts = StoredParts::of(dump_);
  ASSERT_TRUE(parts);
  Mapping absent = mapping(8);
  absent.bytes_in_core = 0;
  EXPECT_EQ(parts->bytes(absent, absent.range), 0U);
  absent.bytes_in_core = UINT64_MAX / 2;  // and one whose header lies
  absent.core_offset = UINT64_MAX / 4;
  EXPECT_EQ(parts->bytes(absent, absent.range), 0U);
}

TEST_F(StoredPartsTest, WithoutHolesNothingIsKnown) {
  write(4, {0, 1, 2, 3});
  EXPECT_FALSE(StoredParts::of(dump_));
}

TEST_F(StoredPartsTest, OfAFileThatWasUnpackedNothingIsKnown) {
  write(8, {0});
  dump_.file_size_bytes += kPage;
  EXPECT_FALSE(StoredParts::of(dump_));
  dump_.path = directory_.file("missing");
  EXPECT_FALSE(StoredParts::of(dump_));
  dump_.path = directory_.path().string();
  EXPECT_FALSE(StoredParts::of(dump_));
}

}  // namespace
}  // namespace heapwalk
