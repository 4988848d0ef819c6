#include "dump/core_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "tests/support/core_builder.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk {
namespace {

using test::CoreBuilder;
using Buffer = std::vector<std::byte>;

std::string error_of(const Buffer& bytes) {
  Diagnostics diagnostics;
  auto core = read_core_file("core", bytes, diagnostics);
  return core ? "no error" : core.error().message;
}

template <class T>
Buffer with(Buffer bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
  return bytes;
}

Buffer small_core() {
  return CoreBuilder().map(0x10000, 0x2000).build();
}

TEST(CoreFile, BadFilesAreOneClearLine) {
  Buffer core = small_core();
  EXPECT_EQ(error_of({}), "core: the file is empty: wanted an ELF core file, found 0 bytes");
  EXPECT_EQ(error_of(with(core, 0, uint32_t{0x2f2f2123})),
            "core: not an ELF file: wanted the bytes 7f 45 4c 46 at 0x0, found 23 21 2f 2f");
  EXPECT_EQ(error_of(Buffer(core.begin(), core.begin() + 2)), "core: ELF header at 0x0: wanted 64 bytes, found 2");
  EXPECT_EQ(error_of(Buffer(core.begin(), core.begin() + 40)), "core: ELF header at 0x0: wanted 64 bytes, found 40");
  EXPECT_EQ(error_of(with(core, 4, uint8_t{1})), "core: ELF class at 0x4: wanted 2 (64-bit), found 1 (32-bit)");
  EXPECT_EQ(error_of(with(core, 5, uint8_t{2})),
            "core: byte order at 0x5: wanted 1 (little-endian), found 2 (big-endian)");
  EXPECT_EQ(error_of(with(core, 18, uint16_t{243})),
            "core: CPU at 0x12: wanted 62 (x86-64) or 183 (AArch64), found machine number 243");
  EXPECT_EQ(error_of(with(core, 54, uint16_t{32})), "core: program header size at 0x36: wanted 56, found 32");
  EXPECT_EQ(error_of(core), "no error");
}

TEST(CoreFile, OtherElfFilesAreNamed) {
  Buffer core = small_core();
  EXPECT_EQ(error_of(with(core, 16, uint16_t{1})),
            "core: not a core file: ELF type at 0x10: wanted 4 (core), found 1 (a relocatable object)");
  EXPECT_EQ(error_of(with(core, 16, uint16_t{2})),
            "core: not a core file: ELF type at 0x10: wanted 4 (core), found 2 (an executable)");
  EXPECT_EQ(error_of(with(core, 16, uint16_t{3})),
            "core: not a core file: ELF type at 0x10: wanted 4 (core), found 3 "
            "(a shared object or position-independent executable)");
}

TEST(CoreFile, WhatIsNoRegularFile) {
  test::TemporaryDirectory directory;
  Diagnostics diagnostics;
  auto error = [&](const std::string& path) {
    auto core = open_core_file(path, diagnostics);
    return core ? "no error" : core.error().message;
  };
  EXPECT_EQ(error(directory.path()), directory.path().string() + ": wanted a regular file, found a directory");
  EXPECT_EQ(error(directory.file("none")), directory.file("none") + ": cannot open: No such file or directory");
  std::string pipe = directory.file("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(error(pipe), pipe + ": wanted a regular file, found a pipe");
  EXPECT_EQ(error("/dev/null"), "/dev/null: wanted a regular file, found a device");
  std::string secret = directory.write("secret", "x");
  ASSERT_EQ(::chmod(secret.c_str(), 0), 0);
  uid_t user = ::geteuid();
  ASSERT_EQ(::seteuid(user == 0 ? 65534 : user), 0);  // root may read everything
  EXPECT_EQ(error(secret), secret + ": cannot open: Permission denied");
  ASSERT_EQ(::seteuid(user), 0);
}

TEST(CoreFile, SegmentsKeepTheirOrderAndBytes) {
  CoreBuilder builder;
  builder.map(0x20000, 0x1000, {.permissions = "r-x"})
      .word(0x20008, 42)
      .map(0x10000, 0x3000, {.bytes_in_core = 0x1000});
  Buffer bytes = builder.build();
  Diagnostics diagnostics;
  auto core = read_core_file("core", bytes, diagnostics);
  ASSERT_TRUE(core) << core.error().message;
  ASSERT_EQ(core->segments.size(), 2U);
  EXPECT_EQ(core->segments[0].range.begin, Address{0x20000});
  EXPECT_EQ(load<uint64_t>(core->segments[0].bytes.data() + 8), 42U);
  EXPECT_TRUE(core->segments[0].executable);
  EXPECT_FALSE(core->segments[0].writable);
  EXPECT_EQ(core->segments[1].range.size_bytes(), 0x3000U);
  EXPECT_EQ(core->segments[1].bytes.size(), 0x1000U);
  EXPECT_EQ(core->missing_bytes, 0U);
  EXPECT_TRUE(diagnostics.all().empty());
}

TEST(CoreFile, TruncationIsCounted) {
  Buffer bytes = CoreBuilder().map(0x10000, 0x2000).map(0x20000, 0x4000).build();
  uint64_t whole = bytes.size();
  bytes.resize(whole - 0x5000);
  Diagnostics diagnostics;
  auto core = read_core_file("core", bytes, diagnostics);
  ASSERT_TRUE(core) << core.error().message;
  EXPECT_EQ(core->missing_bytes, 0x5000U);
  EXPECT_EQ(core->segments[0].bytes.size(), 0x1000U);
  EXPECT_TRUE(core->segments[1].bytes.empty());
  ASSERT_EQ(diagnostics.all().size(), 1U);
  EXPECT_EQ(diagnostics.all()[0].code, "truncated_core");
  uint64_t notes = core->notes[0].size();
  EXPECT_EQ(diagnostics.all()[0].text,
            fmt::format("core: the core file is cut off at file offset 0x{:x}: 20480 of {} bytes are missing",
                        bytes.size(), 0x6000 + notes));
}

TEST(CoreFile, MoreThan65535ProgramHeaders) {
  CoreBuilder builder;
  builder.map(0x10000, 0x1000).word(0x10000, 7).filler(0x100000000, 70000).map(0x20000, 0x1000).word(0x20000, 9);
  Buffer bytes = builder.build();
  ASSERT_EQ(load<uint16_t>(bytes.data() + 56), 0xffff);
  Diagnostics diagnostics;
  auto core = read_core_file("core", bytes, diagnostics);
  ASSERT_TRUE(core) << core.error().message;
  ASSERT_EQ(core->segments.size(), 70002U);
  EXPECT_EQ(load<uint64_t>(core->segments.back().bytes.data()), 9U);
  EXPECT_TRUE(diagnostics.all().empty());

  bytes.resize(bytes.size() - 64);  // section header 0, with the count, is the first thing that truncation takes
  core = read_core_file("core", bytes, diagnostics);
  ASSERT_TRUE(core) << core.error().message;
  EXPECT_EQ(core->segments.size(), 70002U);

  // Nor can the count be told from the layout when the notes do not follow the headers.
  Buffer odd = with(bytes, 64 + 8, uint64_t{64 + 3 * 56 + 5});
  core = read_core_file("core", odd, diagnostics);
  ASSERT_TRUE(core) << core.error().message;
  EXPECT_LE(core->segments.size(), 0xffffU);
  EXPECT_GT(diagnostics.count("truncated_core"), 0U);
}

TEST(CoreFile, NumbersInHeadersAreNotBelieved) {
  Buffer core = small_core();
  Diagnostics diagnostics;
  auto many = read_core_file("core", with(core, 56, uint16_t{60000}), diagnostics);
  ASSERT_TRUE(many) << many.error().message;
  EXPECT_EQ(diagnostics.all()[0].code, "truncated_core");
  EXPECT_LT(many->segments.size(), core.size() / 56);

  EXPECT_EQ(error_of(with(core, 32, ~uint64_t{0})),
            fmt::format("core: program headers: wanted them at 0xffffffffffffffff, found the end of the file at 0x{:x}",
                        core.size()));

  constexpr size_t load_header = 64 + 56;
  Diagnostics wrapped;
  auto core_file = read_core_file("core", with(core, load_header + 16, ~uint64_t{0}), wrapped);  // p_vaddr
  ASSERT_TRUE(core_file);
  EXPECT_TRUE(core_file->segments.empty());
  EXPECT_EQ(wrapped.count("malformed_segment"), 1U);

  Diagnostics huge;
  core_file = read_core_file("core", with(core, load_header + 32, ~uint64_t{0}), huge);  // p_filesz
  ASSERT_TRUE(core_file);
  EXPECT_EQ(core_file->segments[0].bytes.size(), 0x2000U);
  EXPECT_EQ(huge.count("truncated_core"), 1U);
}

}  // namespace
}  // namespace heapwalk
