#include "dump/elf_image.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "dump/debug_data.h"
#include "tests/support/compiler.h"

namespace heapwalk {
namespace {

using test::compile_c;
using test::run_tool;
using test::TemporaryDirectory;

constexpr const char* kProgram = R"(
#include <stdio.h>
int exported_table[25] = {1, 2, 3};
static long hidden_counter = 7;
__thread int per_thread = 5;
static int helper(int x) { return x + (int)hidden_counter++; }
int main(void) { per_thread++; return helper(exported_table[1]) + per_thread; }
)";

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<char> content((std::istreambuf_iterator<char>(in)), {});
  std::vector<std::byte> bytes(content.size());
  std::memcpy(bytes.data(), content.data(), content.size());
  return bytes;
}

std::shared_ptr<const ElfImage> open_image(const std::string& path) {
  auto image = ElfImage::open(path);
  if (!image) {
    ADD_FAILURE() << image.error().message;
    return nullptr;
  }
  return *image;
}

SymbolTable symbols_of(const ElfImage& image) {
  Diagnostics diagnostics;
  SymbolTable table(image.read_symbols(diagnostics));
  EXPECT_TRUE(diagnostics.all().empty());
  return table;
}

// Everything that can be asked of an image. Returns a number that depends on all answers.
uint64_t use_everything(const ElfImage& image) {
  uint64_t sum = image.crc32() + image.build_id().size() + image.entry();
  for (const ElfSection& section : image.sections()) {
    auto data = image.section_data(section);
    if (data) {
      for (std::byte byte : data->bytes) sum += std::to_integer<uint64_t>(byte);
    }
  }
  for (const ElfSegment& segment : image.segments()) {
    for (std::byte byte : image.read(segment.link_address, segment.memory_size)) sum += std::to_integer<uint64_t>(byte);
  }
  Diagnostics diagnostics;
  SymbolTable table(image.read_symbols(diagnostics));
  EXPECT_TRUE(table.check());
  for (const Symbol& symbol : table.all()) sum += symbol.name.size();
  if (auto link = image.debug_link()) sum += link->crc;
  if (auto link = image.alternate_link()) sum += link->file_name.size() + link->id.size() + image.alternate_id().size();
  return sum + image.has_debug_info();
}

TEST(ElfImage, ReadsWhatTheCompilerWrote) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  auto image = open_image(compile_c(directory, "program", kProgram, {"-g", "-Wl,--build-id=0x00ab12cd34ef"}));
  ASSERT_NE(image, nullptr);
  EXPECT_EQ(image->build_id(), "00ab12cd34ef");
  EXPECT_TRUE(image->is_position_independent());
  EXPECT_TRUE(image->has_debug_info());
  EXPECT_NE(image->find_section(".text"), nullptr);
  EXPECT_EQ(image->find_section(".nonsense"), nullptr);
  EXPECT_TRUE(std::ranges::any_of(image->segments(), [](const ElfSegment& s) { return s.type == PT_TLS; }));

  SymbolTable symbols = symbols_of(*image);
  const Symbol* table = symbols.find_by_name("exported_table");
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->size_bytes, 100u);
  EXPECT_EQ(table->kind, SymbolKind::object);
  EXPECT_TRUE(table->global);
  EXPECT_EQ(symbols.find(table->link_address + 99), table);
  const Symbol* counter = symbols.find_by_name("hidden_counter");
  ASSERT_NE(counter, nullptr);
  EXPECT_FALSE(counter->global);
  EXPECT_EQ(load<uint64_t>(image->read(counter->link_address, 8).data()), 7u);
  ASSERT_NE(symbols.find_by_name("helper"), nullptr);
  EXPECT_EQ(symbols.find_by_name("helper")->kind, SymbolKind::function);
  ASSERT_EQ(symbols.tls().size(), 1u);
  EXPECT_EQ(symbols.tls()[0].name, "per_thread");
  EXPECT_EQ(symbols.tls()[0].size_bytes, 4u);
  EXPECT_EQ(symbols.find_by_name("printf@GLIBC_2.2.5"), nullptr);
}

TEST(ElfImage, BssHasNoBytes) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  auto image = open_image(compile_c(directory, "program", "char big[100000]; int main(void) { return big[5]; }", {}));
  ASSERT_NE(image, nullptr);
  const Symbol big = *symbols_of(*image).find_by_name("big");
  EXPECT_TRUE(image->read(big.link_address + 50000, 8).empty());
  auto data = image->section_data(".bss");
  ASSERT_TRUE(data);
  EXPECT_TRUE(data->bytes.empty());
}

TEST(ElfImage, CompressedSectionsExpandToTheSameBytes) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::string plain = compile_c(directory, "plain", kProgram, {"-g"});
  std::string packed = directory.file("packed");
  ASSERT_TRUE(run_tool({"objcopy", "--compress-debug-sections=zlib", plain, packed}));
  auto plain_image = open_image(plain);
  auto packed_image = open_image(packed);
  ASSERT_TRUE(plain_image && packed_image);
  EXPECT_TRUE(packed_image->find_section(".debug_info")->compressed);
  for (const char* name : {".debug_info", ".debug_str", ".debug_abbrev"}) {
    auto expected = plain_image->section_data(name);
    auto found = packed_image->section_data(name);
    ASSERT_TRUE(expected && found) << name;
    EXPECT_TRUE(std::ranges::equal(expected->bytes, found->bytes)) << name;
    EXPECT_GT(found->bytes.size(), 0u);
  }
}

TEST(ElfImage, SectionThatClaimsToExpandToTerabytesIsRefused) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::string plain = compile_c(directory, "plain", kProgram, {"-g"});
  std::string packed = directory.file("packed");
  ASSERT_TRUE(run_tool({"objcopy", "--compress-debug-sections=zlib", plain, packed}));
  std::vector<std::byte> bytes = read_file(packed);
  auto good = ElfImage::from_bytes(bytes, "packed", nullptr);
  ASSERT_TRUE(good);
  const ElfSection* section = (*good)->find_section(".debug_info");
  ASSERT_NE(section, nullptr);
  uint64_t huge = uint64_t{1} << 42;
  std::memcpy(bytes.data() + section->offset + offsetof(Elf64_Chdr, ch_size), &huge, sizeof huge);
  auto bad = ElfImage::from_bytes(bytes, "packed", nullptr);
  ASSERT_TRUE(bad);
  auto data = (*bad)->section_data(".debug_info");
  ASSERT_FALSE(data);
  EXPECT_NE(data.error().message.find("claim to expand to 4398046511104"), std::string::npos) << data.error().message;
}

TEST(ElfImage, ReadsSymbolsOfMiniDebugData) {
  HEAPWALK_NEEDS_COMPILER();
  if (!std::filesystem::exists("/usr/bin/xz")) GTEST_SKIP() << "xz is needed to make .gnu_debugdata";
  TemporaryDirectory directory;
  std::string full = compile_c(directory, "full", kProgram, {});
  std::string table = directory.file("table");
  std::string stripped = directory.file("stripped");
  ASSERT_TRUE(run_tool({"objcopy", "-S", "--keep-symbol=helper", "--keep-symbol=hidden_counter", full, table}));
  ASSERT_TRUE(run_tool({"xz", "-k", table}));
  ASSERT_TRUE(run_tool({"objcopy", "-S", "--add-section", ".gnu_debugdata=" + table + ".xz", full, stripped}));
  auto image = open_image(stripped);
  ASSERT_NE(image, nullptr);
  EXPECT_EQ(image->find_section(".symtab"), nullptr);
  SymbolTable symbols = symbols_of(*image);
  ASSERT_NE(symbols.find_by_name("helper"), nullptr);
  auto full_image = open_image(full);
  SymbolTable expected = symbols_of(*full_image);
  EXPECT_EQ(symbols.find_by_name("helper")->link_address, expected.find_by_name("helper")->link_address);
}

TEST(ElfImage, XzStreamsAreBounded) {
  if (!std::filesystem::exists("/usr/bin/xz")) GTEST_SKIP() << "xz is needed to make the stream";
  TemporaryDirectory directory;
  std::string zeros = directory.write("zeros", std::string(10 << 20, '\0'));
  ASSERT_TRUE(run_tool({"xz", "-k", zeros}));
  std::vector<std::byte> stream = read_file(zeros + ".xz");
  auto whole = expand_xz(stream, 10 << 20);
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->size(), size_t{10} << 20);
  EXPECT_FALSE(expand_xz(stream, (10 << 20) - 1));
  EXPECT_FALSE(expand_xz(Bytes(stream).first(stream.size() / 2), 10 << 20));
  EXPECT_FALSE(expand_xz({}, 1024));
  std::vector<std::byte> not_xz(1000, std::byte{'a'});
  EXPECT_FALSE(expand_xz(not_xz, 1024));
}

TEST(ElfImage, DebugLinkCarriesTheCrcOfTheDebugFile) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::string program = compile_c(directory, "program", kProgram, {"-g"});
  std::string debug = directory.file("program.debug");
  ASSERT_TRUE(run_tool({"objcopy", "--only-keep-debug", program, debug}));
  ASSERT_TRUE(run_tool({"objcopy", "-g", "--add-gnu-debuglink=" + debug, program}));
  auto link = open_image(program)->debug_link();
  ASSERT_TRUE(link);
  EXPECT_EQ(link->file_name, "program.debug");
  EXPECT_EQ(link->crc, open_image(debug)->crc32());
  EXPECT_EQ(open_image(debug)->build_id(), open_image(program)->build_id());
}

TEST(ElfImage, MessagesSayWhatWasFound) {
  TemporaryDirectory directory;
  EXPECT_FALSE(ElfImage::open(directory.file("missing")));
  EXPECT_FALSE(ElfImage::open(directory.path().string()));
  EXPECT_FALSE(ElfImage::open(directory.write("empty", "")));
  auto text = ElfImage::open(directory.write("text", "#!/bin/sh\nexit 0\n# longer than an ELF header is, by far…\n"));
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().message.find("not an ELF file"), std::string::npos);

  std::vector<std::byte> bytes = read_file("/proc/self/exe");
  bytes[EI_CLASS] = std::byte{ELFCLASS32};
  auto small = ElfImage::from_bytes(bytes, "file", nullptr);
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().message, "file: not a 64-bit little-endian ELF file");
  bytes[EI_CLASS] = std::byte{ELFCLASS64};
  bytes[offsetof(Elf64_Ehdr, e_machine)] = std::byte{243};
  EXPECT_FALSE(ElfImage::from_bytes(bytes, "file", nullptr));
}

TEST(ElfImage, BuildIdInNotes) {
  std::vector<std::byte> notes;
  auto word = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i) notes.push_back(static_cast<std::byte>(value >> (8 * i)));
  };
  word(4), word(5), word(1), word(0x00554e47), word(0x04030201), word(0x00000005);  // another note, padded to 8
  word(4), word(3), word(NT_GNU_BUILD_ID), word(0x00554e47), word(0x00c0ffee);
  EXPECT_EQ(find_build_id(notes, 4), "eeffc0");
  EXPECT_EQ(find_build_id(Bytes(notes).first(30), 4), "");
  EXPECT_EQ(find_build_id({}, 4), "");
  for (size_t size = 0; size < notes.size(); ++size) find_build_id(Bytes(notes).first(size), 8);
}

// A copy on the heap of exactly this size, so that a sanitizer sees any read past it.
std::vector<std::byte> prefix(const std::vector<std::byte>& bytes, size_t size) {
  return {bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)};
}

std::vector<std::byte> small_file(const TemporaryDirectory& directory) {
  std::string path =
      compile_c(directory, "small", "__thread int t; int x = 1; int f(void) { return x + t; }",
                {"-g", "-gz", "-shared", "-fPIC", "-nostdlib", "-Wl,-z,noseparate-code", "-Wl,--build-id=0x12345678"});
  return path.empty() ? std::vector<std::byte>{} : read_file(path);
}

TEST(ElfImage, EveryPrefixOfAFileIsHandled) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::vector<std::byte> bytes = small_file(directory);
  ASSERT_GT(bytes.size(), 1000u);
  size_t opened = 0;
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::vector<std::byte> part = prefix(bytes, size);
    auto image = ElfImage::from_bytes(part, "prefix", nullptr);
    if (!image) continue;
    ++opened;
    use_everything(**image);
  }
  EXPECT_GT(opened, 0u);
  EXPECT_LT(opened, bytes.size());
}

TEST(ElfImage, DamagedFilesAreHandled) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  const std::vector<std::byte> bytes = small_file(directory);
  ASSERT_GT(bytes.size(), 1000u);
  std::mt19937 random(11);
  std::set<uint64_t> outcomes;
  for (int round = 0; round < 4000; ++round) {
    std::vector<std::byte> damaged = bytes;
    uint64_t header_offset = load<uint64_t>(bytes.data() + offsetof(Elf64_Ehdr, e_shoff));
    for (int flip = 0; flip < 1 + round % 8; ++flip) {
      // Mostly headers and tables: that is where damage matters.
      size_t at = random() % bytes.size();
      if (flip % 2 == 0)
        at = random() % 2 == 0 ? random() % 512 : header_offset + random() % (bytes.size() - header_offset);
      damaged[at] = static_cast<std::byte>(random());
    }
    auto image = ElfImage::from_bytes(damaged, "damaged", nullptr);
    if (image) outcomes.insert(use_everything(**image));
  }
  EXPECT_GT(outcomes.size(), 100u);
}

}  // namespace
}  // namespace heapwalk
