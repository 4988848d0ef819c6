#include "dump/decompress.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>

#include "dump/core_dump.h"
#include "tests/support/core_builder.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk {
namespace {

using test::CoreBuilder;
using Buffer = std::vector<std::byte>;
using AddFilter = int (*)(archive*);

// Compresses with the library's own writer, so that no program has to be installed.
Buffer compress(const Buffer& input, AddFilter add_filter, AddFilter second = nullptr) {
  Buffer output(input.size() * 2 + 65536);
  size_t used = 0;
  archive* writer = archive_write_new();
  if (second != nullptr) second(writer);
  add_filter(writer);
  archive_write_set_format_raw(writer);
  archive_write_set_options(writer, "lz4:block-size=4");  // 64 KB: a block that is cut off is lost as a whole
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_open_memory(writer, output.data(), output.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, input.data(), input.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  output.resize(used);
  return output;
}

struct Format {
  const char* name;
  AddFilter add;
};
constexpr std::array<Format, 5> kFormats = {{{"zstd", archive_write_add_filter_zstd},
                                             {"lz4", archive_write_add_filter_lz4},
                                             {"gzip", archive_write_add_filter_gzip},
                                             {"xz", archive_write_add_filter_xz},
                                             {"bzip2", archive_write_add_filter_bzip2}}};

// A core with a megabyte that does not compress, and one of zeros.
Buffer sample_core() {
  Buffer noise(1U << 20);
  std::mt19937 random(7);
  std::generate(noise.begin(), noise.end(), [&] { return static_cast<std::byte>(random()); });
  CoreBuilder core;
  core.map(0x100000, noise, {}).map(0x400000, 1U << 20).word(0x4ffff8, 0x123456789abcdef0);
  core.thread({.sp = 0x400800});
  return core.build();
}

TEST(Decompress, EveryFormatIsRecognisedByContentAndGivesTheSameBytes) {
  Buffer core = sample_core();
  EXPECT_FALSE(is_compressed(core));
  for (const Format& format : kFormats) {
    Buffer compressed = compress(core, format.add);
    ASSERT_TRUE(is_compressed(compressed)) << format.name;
    Diagnostics diagnostics;
    auto file = decompress("core", compressed, diagnostics);
    ASSERT_TRUE(file) << format.name << ": " << file.error().message;
    EXPECT_TRUE(std::ranges::equal((*file)->bytes(), core)) << format.name;
    EXPECT_TRUE(diagnostics.all().empty()) << format.name;
  }
}

TEST(Decompress, ACompressedCoreOpensLikeAnyOther) {
  test::TemporaryDirectory directory;
  Buffer core = sample_core();
  std::string path = directory.write("core.misleading-name", compress(core, archive_write_add_filter_zstd));
  auto dump = open_core_dump(path, {});
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(dump->file_size_bytes, core.size());
  EXPECT_EQ(dump->missing_bytes, 0U);
  EXPECT_EQ(dump->memory.read_word(Address{0x4ffff8}), 0x123456789abcdef0U);
  EXPECT_EQ(dump->diagnostics.count("truncated_core"), 0U);
}

TEST(Decompress, WhatATruncatedStreamHeldIsKept) {
  test::TemporaryDirectory directory;
  Buffer core = sample_core();
  for (const Format& format : kFormats) {
    Buffer compressed = compress(core, format.add);
    compressed.resize(compressed.size() * 9 / 10);
    auto dump = open_core_dump(directory.write(format.name, compressed), {});
    ASSERT_TRUE(dump) << format.name << ": " << dump.error().message;
    EXPECT_GT(dump->file_size_bytes, 0U) << format.name;
    EXPECT_GT(dump->missing_bytes, 0U) << format.name;
    EXPECT_EQ(dump->missing_bytes + dump->file_size_bytes, core.size()) << format.name;
    EXPECT_EQ(dump->diagnostics.count("truncated_core"), 2U) << format.name;  // the stream, and the core in it
  }
}

TEST(Decompress, EveryPrefixOfASmallStreamIsAnErrorOrAPartialDump) {
  Buffer core = CoreBuilder().map(0x10000, 0x1000).thread({.sp = 0x10800}).build();
  for (const Format& format : kFormats) {
    Buffer compressed = compress(core, format.add);
    for (size_t size = 0; size < compressed.size(); ++size) {
      Buffer prefix(compressed.begin(), compressed.begin() + static_cast<std::ptrdiff_t>(size));
      auto dump = test::open_core_bytes(prefix);
      EXPECT_TRUE(dump || dump.error().message.find('\n') == std::string::npos);
    }
  }
}

TEST(Decompress, DamagedStreamsAreErrorsOrPartialDumps) {
  Buffer core = CoreBuilder().map(0x10000, 0x1000).thread({.sp = 0x10800}).build();
  std::mt19937 random(3);
  for (const Format& format : kFormats) {
    Buffer compressed = compress(core, format.add);
    for (int round = 0; round < 100; ++round) {
      Buffer damaged = compressed;
      damaged[random() % damaged.size()] ^= static_cast<std::byte>(1U << (random() % 8));
      auto dump = test::open_core_bytes(damaged);
      EXPECT_TRUE(dump || dump.error().message.find('\n') == std::string::npos);
    }
  }
}

TEST(Decompress, SomethingElseCompressedIsNamedAfterOneLook) {
  test::TemporaryDirectory directory;
  Buffer text(8U << 20, std::byte{'a'});
  auto dump = open_core_dump(directory.write("a", compress(text, archive_write_add_filter_gzip)), {});
  ASSERT_FALSE(dump);
  EXPECT_EQ(dump.error().message,
            directory.file("a") + ": not an ELF file: wanted the bytes 7f 45 4c 46 at 0x0, found 61 61 61 61");
}

TEST(Decompress, StreamsInStreamsAreRefused) {
  Buffer core = CoreBuilder().map(0x10000, 0x1000).build();
  Buffer twice = compress(core, archive_write_add_filter_gzip, archive_write_add_filter_xz);
  Diagnostics diagnostics;
  auto file = decompress("core", twice, diagnostics);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().message, "core: compressed stream at 0x0: wanted one compression, found 2 inside each other");
}

TEST(Decompress, AnEmptyStream) {
  Diagnostics diagnostics;
  auto file = decompress("core", compress({}, archive_write_add_filter_gzip), diagnostics);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().message.rfind("core: compressed stream", 0), 0U) << file.error().message;
}

TEST(Decompress, ATemporaryDirectoryThatIsNotThere) {
  const char* before = std::getenv("TMPDIR");
  std::string saved = before != nullptr ? before : "";
  ::setenv("TMPDIR", "/nonexistent/directory", 1);
  Diagnostics diagnostics;
  auto file = decompress("core", compress(CoreBuilder().map(0x10000, 0x1000).build(), archive_write_add_filter_zstd),
                         diagnostics);
  before != nullptr ? ::setenv("TMPDIR", saved.c_str(), 1) : ::unsetenv("TMPDIR");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().message,
            "core: cannot make a temporary file in /nonexistent/directory to decompress into: "
            "No such file or directory");
}

TEST(Decompress, TheTemporaryFileLeavesNoNameBehind) {
  test::TemporaryDirectory directory;
  const char* before = std::getenv("TMPDIR");
  std::string saved = before != nullptr ? before : "";
  ::setenv("TMPDIR", directory.path().c_str(), 1);
  Diagnostics diagnostics;
  auto file = decompress("core", compress(sample_core(), archive_write_add_filter_lz4), diagnostics);
  before != nullptr ? ::setenv("TMPDIR", saved.c_str(), 1) : ::unsetenv("TMPDIR");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

}  // namespace
}  // namespace heapwalk
