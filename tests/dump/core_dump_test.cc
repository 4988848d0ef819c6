// A core as a whole: synthesised ones of every shape, and damage of every kind.
#include "dump/core_dump.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>

#include "tests/support/core_builder.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk {
namespace {

using test::CoreBuilder;
using Buffer = std::vector<std::byte>;

AddressRange range(uint64_t begin, uint64_t end) {
  return {Address{begin}, Address{end}};
}

// Everything that open_core_dump promises about its result, whatever the input was.
void expect_lawful(const CoreDump& dump) {
  EXPECT_TRUE(dump.memory.check());
  for (size_t i = 0; i < dump.mappings.size(); ++i) {
    EXPECT_FALSE(dump.mappings[i].range.empty());
    EXPECT_LE(dump.mappings[i].bytes_in_core, dump.mappings[i].range.size_bytes());
    EXPECT_TRUE(i == 0 || dump.mappings[i - 1].range.end <= dump.mappings[i].range.begin);
  }
  for (const Thread& thread : dump.threads)
    EXPECT_TRUE(thread.stack.empty() || thread.stack_mapping.contains(thread.stack));
  for (size_t i = 1; i < dump.dead_stacks.size(); ++i)
    EXPECT_LE(dump.dead_stacks[i - 1].end, dump.dead_stacks[i].begin);
}

// Two threads, a list of modules, a stack block, anonymous memory that the core leaves out.
CoreBuilder rich_core() {
  CoreBuilder core;
  core.process(100, "server").signal(11, 1, 0x10);
  core.link_map(0x400000, "/nonexistent/server", {{0x7f0000000000, "/nonexistent/libx.so"}});
  core.map(0x7f0000000000, 0x200, {.permissions = "r--", .path = "/nonexistent/libx.so"});
  core.map(0x600000, 0x400).map(0x601000, 0x1000, {.permissions = "---", .bytes_in_core = 0});
  core.map(0x7fff0000, 0x400).auxv(25, 0x7fff03f0).auxv(31, 0x7fff03f8);
  core.thread({.tid = 100, .sp = 0x7fff0200, .vector_words = {1}, .ymm_upper_words = {2}});
  core.thread({.tid = 101, .sp = 0x600100, .thread_pointer = 0x600200});
  core.words(0x600200 + 0x40, {0x600000, 0x400, 0});
  return core;
}

TEST(CoreDump, TouchingSegmentsAreOneSpan) {
  CoreBuilder core;
  core.map(0x10000, 0x1000).map(0x11000, 0x2000).map(0x13000, 0x1000).word(0x13ff8, 5);
  CoreDump dump = core.open();
  EXPECT_EQ(dump.memory.regions().size(), 1U);
  EXPECT_EQ(dump.memory.read(Address{0x10000}, 0x10000).size(), 0x4000U);
  EXPECT_EQ(dump.mappings.size(), 3U);
}

TEST(CoreDump, AbsentIsNeverZero) {
  CoreBuilder core;
  core.map(0x10000, 0x4000, {.bytes_in_core = 0x1000}).map(0x20000, 0x1000, {.bytes_in_core = 0});
  CoreDump dump = core.open();
  expect_lawful(dump);
  EXPECT_EQ(dump.memory.read_word(Address{0x10ff8}), 0U);
  EXPECT_FALSE(dump.memory.read_word(Address{0x11000}));
  EXPECT_FALSE(dump.memory.read_word(Address{0x10ffc}));
  EXPECT_FALSE(dump.memory.read_word(Address{0x20000}));
  EXPECT_EQ(dump.memory.find(Address{0x20000})->state, ByteState::absent);
  EXPECT_EQ(dump.memory.find(Address{0x21000}), nullptr);
}

TEST(CoreDump, TheOrderOfTheSegmentsDoesNotMatter) {
  for (auto order : {CoreBuilder::Order::as_added, CoreBuilder::Order::reversed, CoreBuilder::Order::by_size}) {
    for (auto layout : {CoreBuilder::Layout::kernel, CoreBuilder::Layout::gcore}) {
      CoreBuilder core = rich_core();
      core.map(0x900000, 0x5000).word(0x904ff8, 77).map(0xffffffffff600000, 0x1000, {.permissions = "--x"});
      CoreDump dump = core.order(order).layout(layout).open();
      expect_lawful(dump);
      EXPECT_EQ(dump.memory.read_word(Address{0x904ff8}), 77U);
      EXPECT_EQ(dump.mappings.back().range, range(0xffffffffff600000, 0xffffffffff601000));
      EXPECT_EQ(dump.process.pid, 100U);
      EXPECT_EQ(dump.threads.size(), 2U);
      EXPECT_NE(dump.find_module_by_name("libx.so"), nullptr);
    }
  }
}

TEST(CoreDump, OverlappingSegmentsHaveOneValuePerByte) {
  CoreBuilder core;
  core.map(0x10000, 0x2000).word(0x11000, 1).map(0x11000, 0x2000).word(0x11000, 2).word(0x12ff8, 3);
  CoreDump dump = core.open();
  expect_lawful(dump);
  EXPECT_EQ(dump.memory.read_word(Address{0x11000}), 1U);  // the first program header wins
  EXPECT_EQ(dump.memory.read_word(Address{0x12ff8}), 3U);
}

TEST(CoreDump, WithoutAFileTableTheLinkMapServes) {
  CoreDump dump = rich_core().without_file_table().open();
  expect_lawful(dump);
  EXPECT_NE(dump.find_module_by_name("libx.so"), nullptr);
  ASSERT_NE(dump.executable(), nullptr);
  EXPECT_EQ(dump.find_module(Address{0x400100}), dump.executable());
  EXPECT_EQ(dump.find_module(Address{0x600000}), nullptr);
}

TEST(CoreDump, SeventyThousandMappings) {
  CoreBuilder core = rich_core();
  CoreDump dump = core.filler(0x100000000, 70000).open();
  expect_lawful(dump);
  EXPECT_GE(dump.mappings.size(), 70000U);
  EXPECT_EQ(dump.find_mapping(Address{0x100000000 + 69999ULL * 0x2000})->bytes_in_core, 0U);
}

TEST(CoreDump, ATruncatedCoreKeepsWhatItHas) {
  CoreBuilder core;
  core.map(0x10000, 0x2000).word(0x10000, 1).map(0x20000, 0x2000).word(0x20000, 2).map(0x30000, 0x2000);
  core.thread({.sp = 0x10800});
  Buffer bytes = core.build();
  bytes.resize(bytes.size() - 0x3000);
  auto dump = test::open_core_bytes(bytes);
  ASSERT_TRUE(dump) << dump.error().message;
  expect_lawful(*dump);
  EXPECT_EQ(dump->missing_bytes, 0x3000U);
  EXPECT_EQ(dump->diagnostics.count("truncated_core"), 1U);
  EXPECT_EQ(dump->memory.read_word(Address{0x20000}), 2U);
  EXPECT_EQ(dump->memory.read(Address{0x20000}, 0x2000).size(), 0x1000U);
  EXPECT_FALSE(dump->memory.read_word(Address{0x30000}));
  EXPECT_EQ(dump->find_mapping(Address{0x20000})->bytes_in_core, 0x1000U);
  EXPECT_EQ(dump->find_mapping(Address{0x30000})->bytes_in_core, 0U);
}

TEST(CoreDump, EveryPrefixIsAnErrorOrAPartialDump) {
  for (auto layout : {CoreBuilder::Layout::kernel, CoreBuilder::Layout::gcore}) {
    Buffer core = rich_core().layout(layout).build();
    size_t errors = 0;
    uint64_t missing = UINT64_MAX;
    for (size_t size = 0; size <= core.size(); ++size) {
      auto dump = test::open_core_bytes(std::span(core).first(size));
      if (!dump) {
        ++errors;
        EXPECT_LT(size, 64U) << dump.error().message;
        EXPECT_EQ(dump.error().message.find('\n'), std::string::npos);
        continue;
      }
      expect_lawful(*dump);
      if (dump->missing_bytes == 0) continue;
      EXPECT_GT(dump->diagnostics.count("truncated_core"), 0U);
      missing = dump->missing_bytes;
    }
    EXPECT_EQ(errors, 64U);
    EXPECT_LE(missing, CoreBuilder::kPage);  // the last prefixes lack little
  }
}

TEST(CoreDump, FlippedBytesAreErrorsOrPartialDumps) {
  Buffer core = rich_core().layout(CoreBuilder::Layout::gcore).build();
  std::mt19937 random(11);
  for (int round = 0; round < 4000; ++round) {
    Buffer damaged = core;
    for (size_t flips = 1 + random() % 4; flips > 0; --flips) {
      constexpr std::array<unsigned, 5> values = {0, 0xff, 0x7f, 0x80, 1};
      damaged[random() % damaged.size()] = static_cast<std::byte>(values[random() % values.size()]);
    }
    auto dump = test::open_core_bytes(damaged);
    if (dump) expect_lawful(*dump);
  }
}

// Every 8-byte word of headers, notes and the dynamic linker's list becomes each of a few hostile numbers in turn.
TEST(CoreDump, HostileNumbersInEveryWord) {
  Buffer core = rich_core().layout(CoreBuilder::Layout::gcore).build();
  for (uint64_t value : {~uint64_t{0}, uint64_t{1} << 63, uint64_t{0x7fffffffffffffff}, uint64_t{0x400000}}) {
    for (size_t at = 0; at + 8 <= core.size(); at += 8) {
      Buffer damaged = core;
      std::memcpy(damaged.data() + at, &value, 8);
      auto dump = test::open_core_bytes(damaged);
      if (dump) expect_lawful(*dump);
    }
  }
}

TEST(CoreDump, NoCoreNoDump) {
  test::TemporaryDirectory directory;
  auto error = [](const std::string& path) {
    auto dump = open_core_dump(path, {});
    return dump ? "no error" : dump.error().message;
  };
  std::string empty = directory.write("empty", std::string_view());
  std::string script = directory.write("script", "#!/bin/sh\n");
  EXPECT_EQ(error(empty), empty + ": the file is empty: wanted an ELF core file, found 0 bytes");
  EXPECT_EQ(error(script), script + ": not an ELF file: wanted the bytes 7f 45 4c 46 at 0x0, found 23 21 2f 62");
  EXPECT_EQ(error("/proc/self/exe").rfind("/proc/self/exe: not a core file: ELF type at 0x10", 0), 0U);
  EXPECT_EQ(error("/tmp"), "/tmp: wanted a regular file, found a directory");
}

TEST(CoreDump, LibrariesByTheNamesOfOldAndNewGlibc) {
  CoreDump dump;
  for (const char* name : {"libc-client.so.1", "libc-2.31.so", "ld-2.31.so", "libm.so.6"}) {
    Module module;
    module.name = name;
    module.in_link_map = true;
    dump.modules.push_back(std::move(module));
  }
  EXPECT_EQ(dump.find_module_by_name("libc.so")->name, "libc-2.31.so");
  EXPECT_EQ(dump.find_module_by_name("libm.so")->name, "libm.so.6");
  EXPECT_EQ(dump.find_module_by_name("libpthread.so"), nullptr);
}

}  // namespace
}  // namespace heapwalk
