#include "dump/mappings.h"

#include <gtest/gtest.h>

#include "tests/support/core_builder.h"

namespace heapwalk {
namespace {

using test::CoreBuilder;

AddressRange range(uint64_t begin, uint64_t end) {
  return {Address{begin}, Address{end}};
}

CoreSegment segment(uint64_t begin, uint64_t end, Bytes bytes = {}) {
  return {.range = range(begin, end), .bytes = bytes, .readable = true, .writable = true};
}

void expect_sorted_and_disjoint(std::span<const Mapping> mappings) {
  for (size_t i = 0; i < mappings.size(); ++i) {
    EXPECT_FALSE(mappings[i].range.empty());
    EXPECT_TRUE(i == 0 || mappings[i - 1].range.end <= mappings[i].range.begin);
  }
}

TEST(Mappings, ProgramHeadersTakeTheirPathsFromTheFileTable) {
  CoreBuilder core;
  core.map(0x500000, 0x1000);
  core.map(0x400000, 0x2000, {.permissions = "r-x", .path = "/bin/server", .bytes_in_core = 0x1000});
  core.map(0x402000, 0x1000, {.path = "/bin/server (deleted)", .file_offset = 0x2000});
  CoreDump dump = core.open();
  ASSERT_EQ(dump.mappings.size(), 3U);
  const Mapping& text = dump.mappings[0];
  EXPECT_EQ(text.range, range(0x400000, 0x402000));
  EXPECT_EQ(text.path, "/bin/server");
  EXPECT_TRUE(text.executable);
  EXPECT_FALSE(text.writable);
  EXPECT_EQ(text.bytes_in_core, 0x1000U);
  EXPECT_EQ(dump.mappings[1].path, "/bin/server");
  EXPECT_EQ(dump.mappings[1].file_offset, 0x2000U);
  EXPECT_TRUE(dump.mappings[1].writable);
  EXPECT_EQ(dump.mappings[2].path, "");
  EXPECT_EQ(dump.find_mapping(Address{0x401fff}), &dump.mappings[0]);
  EXPECT_EQ(dump.find_mapping(Address{0x403000}), nullptr);
}

TEST(Mappings, WhatOnlyTheFileTableKnowsIsAbsentButMapped) {
  CoreBuilder core;
  core.layout(CoreBuilder::Layout::gcore);
  core.map(0x400000, 0x2000, {.permissions = "r-x", .path = "/bin/server", .program_header = false});
  core.map(0x402000, 0x1000, {.path = "/bin/server", .file_offset = 0x2000});
  CoreDump dump = core.open();
  ASSERT_EQ(dump.mappings.size(), 2U);
  EXPECT_EQ(dump.mappings[0].path, "/bin/server");
  EXPECT_EQ(dump.mappings[0].bytes_in_core, 0U);
  EXPECT_TRUE(dump.mappings[0].readable);
  ASSERT_NE(dump.memory.find(Address{0x400000}), nullptr);
  EXPECT_EQ(dump.memory.find(Address{0x400000})->state, ByteState::absent);
}

TEST(Mappings, OneProgramHeaderOverSeveralFiles) {
  std::vector<std::byte> bytes(0x2800);
  std::vector<CoreSegment> segments = {segment(0x1000, 0x5000, bytes)};
  std::vector<FileMapping> files = {{range(0x1000, 0x2000), 0, "/a"}, {range(0x3000, 0x4000), 0x7000, "/b"}};
  auto mappings = make_mappings(segments, files, {});
  ASSERT_EQ(mappings.size(), 4U);
  expect_sorted_and_disjoint(mappings);
  EXPECT_EQ(mappings[0].path, "/a");
  EXPECT_EQ(mappings[1].path, "");
  EXPECT_EQ(mappings[2].path, "/b");
  EXPECT_EQ(mappings[2].file_offset, 0x7000U);
  EXPECT_EQ(mappings[2].bytes_in_core, 0x800U);
  EXPECT_EQ(mappings[3].bytes_in_core, 0U);
}

TEST(Mappings, OverlapsAreCutAndNothingIsCountedTwice) {
  std::vector<std::byte> bytes(0x3000);
  std::vector<CoreSegment> segments = {segment(0x2000, 0x5000, bytes),
                                       segment(0x1000, 0x3000, Bytes(bytes).first(0x2000)),
                                       segment(0x2000, 0x2800, Bytes(bytes).first(0x800))};
  std::vector<FileMapping> files = {{range(0x1800, 0x2800), 0, "/a"}, {range(0x2000, 0x6000), 0, "/b"}};
  auto mappings = make_mappings(segments, files, {});
  expect_sorted_and_disjoint(mappings);
  EXPECT_EQ(mappings.front().range.begin, Address{0x1000});
  EXPECT_EQ(mappings.back().range, range(0x5000, 0x6000));
  uint64_t in_core = 0;
  uint64_t size = 0;
  for (const Mapping& mapping : mappings) {
    in_core += mapping.bytes_in_core;
    size += mapping.range.size_bytes();
  }
  EXPECT_EQ(in_core, 0x4000U);
  EXPECT_EQ(size, 0x5000U);
}

TEST(Mappings, WithoutAFileTableTheModulesGiveTheNames) {
  Module module;
  module.path = "/lib/libx.so";
  module.range = range(0x10000, 0x13000);
  module.segments = {{.range = range(0x10000, 0x11000), .file_backed = range(0x10000, 0x11000), .file_offset = 0},
                     {.range = range(0x11000, 0x13000), .file_backed = range(0x11000, 0x12000), .file_offset = 0x1000}};
  std::vector<CoreSegment> segments = {segment(0x10000, 0x11000), segment(0x11000, 0x12000), segment(0x12000, 0x13000),
                                       segment(0x20000, 0x21000)};
  auto mappings = make_mappings(segments, {}, {&module, 1});
  ASSERT_EQ(mappings.size(), 4U);
  EXPECT_EQ(mappings[0].path, "/lib/libx.so");
  EXPECT_EQ(mappings[1].path, "/lib/libx.so");
  EXPECT_EQ(mappings[1].file_offset, 0x1000U);
  EXPECT_EQ(mappings[2].path, "");  // .bss: anonymous
  EXPECT_EQ(mappings[3].path, "");
}

}  // namespace
}  // namespace heapwalk
