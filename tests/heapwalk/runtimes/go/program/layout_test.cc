// The layout table against facts read in the run-time's sources, and against this machine's own toolchain.
#include "heapwalk/runtimes/go/program/layout.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>

#include "tests/support/run_program.h"

namespace heapwalk::go {
namespace {

std::string enumerator(size_t row) {
  static constexpr std::string_view kNames[] = {
#define LAYOUT_ROW(field, ...) #field,
#include "heapwalk/runtimes/go/program/layout_table.inc"
#undef LAYOUT_ROW
  };
  return std::string(kNames[row]);
}

// By the rule that layout.h states.
bool is_named_after(std::string_view enumerator, std::string_view name) {
  auto without_package = [](std::string_view text) { return text.substr(text.rfind('/') + 1); };
  std::string_view kind;
  for (std::string_view prefix : {"sizeof ", "stride of "}) {
    if (!name.starts_with(prefix)) continue;
    kind = prefix;
    name.remove_prefix(prefix.size());
  }
  name = without_package(name);
  name.remove_prefix(name.find('.') + 1);
  std::string want;
  for (char c : name) {
    bool starts_a_part = want.empty() || want.back() == '_';
    if (c == '_' && starts_a_part) continue;
    want += c == '.' ? '_' : c;
  }
  if (kind == "stride of ") return enumerator == want + "_stride";
  if (kind == "sizeof ") return enumerator == want + "_size" || enumerator == want + "_sizeof";
  return enumerator == want;
}

TEST(GoLayout, EveryRowIsNamedAfterItsField) {
  std::set<std::string_view> names;
  ASSERT_GT(layout_table().size(), 500u);
  for (size_t i = 0; i < layout_table().size(); ++i) {
    const FieldRow& row = layout_table()[i];
    EXPECT_EQ(static_cast<size_t>(row.field), i) << row.name;
    EXPECT_TRUE(is_named_after(enumerator(i), row.name)) << enumerator(i) << " " << row.name;
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " twice";
    bool is_anywhere = false;
    for (uint32_t offset : row.offsets) is_anywhere |= offset != Layout::kAbsent;
    EXPECT_TRUE(is_anywhere) << row.name;
  }
}

TEST(GoLayout, FieldsLieInsideTheirStructures) {
  std::map<std::string_view, const FieldRow*> sizes;
  for (const FieldRow& row : layout_table()) {
    if (row.name.starts_with("sizeof ")) sizes[row.name.substr(7)] = &row;
  }
  size_t checked = 0;
  for (const FieldRow& row : layout_table()) {
    auto size = sizes.find(row.name.substr(0, row.name.rfind('.')));
    if (row.name.starts_with("sizeof ") || size == sizes.end()) continue;
    for (size_t i = 0; i < kLayoutColumns; ++i) {
      if (row.offsets[i] == Layout::kAbsent) continue;
      ++checked;
      EXPECT_GT(row.widths[i], 0u) << row.name << " 1." << kFirstMinor + i;
      EXPECT_LE(row.offsets[i] + row.widths[i], size->second->offsets[i]) << row.name << " 1." << kFirstMinor + i;
    }
  }
  EXPECT_GT(checked, 2500u);
}

// What releases changed, by their sources: runtime/mheap.go, runtime2.go, symtab.go, mprof.go.
TEST(GoLayout, ReleasesDifferWhereTheirSourcesDo) {
  Layout go19 = *Layout::of(19), go21 = *Layout::of(21), go22 = *Layout::of(22), go23 = *Layout::of(23),
         go24 = *Layout::of(24), go25 = *Layout::of(25), go26 = *Layout::of(26), go27 = *Layout::of(27);
  // Object counts of spans became 16-bit in 1.22, and large objects got a type.
  EXPECT_EQ(go21.width(Field::mspan_nelems), 8u);
  EXPECT_EQ(go22.width(Field::mspan_nelems), 2u);
  EXPECT_EQ(go22.offset(Field::mspan_nelems), 50u);
  EXPECT_FALSE(go21.has(Field::mspan_largeType));
  EXPECT_EQ(go22.offset(Field::mspan_largeType), 152u);
  // Heap bitmaps: two bits per word in bytes, one bit per word in words, none.
  EXPECT_EQ(go19.width(Field::heapArena_bitmap), 2u << 20);
  EXPECT_EQ(go21.width(Field::heapArena_bitmap), 1u << 20);
  EXPECT_FALSE(go22.has(Field::heapArena_bitmap));
  EXPECT_EQ(go25.offset(Field::heapArena_pageUseSpanInlineMarkBits), 68608u);
  EXPECT_EQ(go26.offset(Field::spanInlineMarkBits_class), 127u);
  // The list of specials: an offset of 16 bits, then of a word.
  EXPECT_EQ(go23.width(Field::special_offset), 2u);
  EXPECT_EQ(go23.offset(Field::special_kind), 10u);
  EXPECT_EQ(go24.width(Field::special_offset), 8u);
  EXPECT_EQ(go24.offset(Field::special_kind), 16u);
  EXPECT_EQ(go24.offset(Field::KindSpecialFinalizer), 1u);
  EXPECT_EQ(go25.offset(Field::KindSpecialFinalizer), 2u);
  EXPECT_EQ(go25.offset(Field::specialCleanup_fn), 24u);
  EXPECT_FALSE(go26.has(Field::specialCleanup_fn));
  EXPECT_EQ(go26.width(Field::specialCleanup_cleanup), 24u);
  // gobuf.ret went in 1.25.
  EXPECT_EQ(go24.offset(Field::gobuf_bp), 48u);
  EXPECT_EQ(go25.offset(Field::gobuf_bp), 40u);
  EXPECT_EQ(go23.offset(Field::g_syscallbp), 128u);
  EXPECT_FALSE(go22.has(Field::g_syscallbp));
  // Renamed types keep their enumerators.
  for (const Layout& layout : {go19, go21, go27}) EXPECT_EQ(layout.offset(Field::Type_GCData), 32u);
  EXPECT_FALSE(go19.has(Field::func_startLine));
  EXPECT_EQ(go27.offset(Field::func_startLine), 36u);
  // Typelinks went in 1.27, byte counts of profile records too.
  EXPECT_TRUE(go26.has(Field::moduledata_typelinks));
  EXPECT_FALSE(go27.has(Field::moduledata_typelinks));
  EXPECT_EQ(go27.offset(Field::moduledata_next), 560u);
  EXPECT_EQ(go26.offset(Field::memRecord_size), 128u);
  EXPECT_EQ(go27.offset(Field::memRecord_size), 64u);
  EXPECT_FALSE(go27.has(Field::memRecordCycle_alloc_bytes));
  // Classic maps until 1.25, Swiss ones from 1.24 on; the type descriptors are different types.
  EXPECT_FALSE(go23.has(Field::Map_dirPtr));
  EXPECT_EQ(go24.offset(Field::Map_dirPtr), 16u);
  EXPECT_EQ(go25.offset(Field::hmap_buckets), 16u);
  EXPECT_FALSE(go26.has(Field::hmap_buckets));
  EXPECT_EQ(go23.offset(Field::OldMapType_Flags), 84u);
  EXPECT_EQ(go24.offset(Field::MapType_Flags), 104u);
}

TEST(GoLayout, OtherReleases) {
  EXPECT_FALSE(Layout::of(18));
  EXPECT_FALSE(Layout::of(-1));
  ASSERT_TRUE(Layout::of(40));
  EXPECT_TRUE(Layout::of(40)->is_guess());
  EXPECT_EQ(Layout::of(40)->minor(), 40);
  EXPECT_EQ(Layout::of(40)->offset(Field::g_size), Layout::of(kLastMinor)->offset(Field::g_size));
  EXPECT_FALSE(Layout::of(kLastMinor)->is_guess());
}

// Its cache lines are 128 bytes long, and mheap has a pad of one before `arenas`' neighbours since 1.22.
TEST(GoLayout, Arm64DiffersWhereCacheLinesPad) {
  Layout amd64 = *Layout::of(26), arm64 = *Layout::of(26, Architecture::aarch64);
  EXPECT_EQ(arm64.offset(Field::mheap_arenas), amd64.offset(Field::mheap_arenas) + 64);
  EXPECT_EQ(arm64.offset(Field::mspan_elemsize), amd64.offset(Field::mspan_elemsize));
  std::span<const FieldRow> rows = layout_table_arm64();
  ASSERT_FALSE(rows.empty());
  for (size_t i = 0; i < rows.size(); ++i) {
    const FieldRow& usual = layout_table()[static_cast<size_t>(rows[i].field)];
    EXPECT_EQ(rows[i].name, usual.name);
    EXPECT_TRUE(rows[i].offsets != usual.offsets || rows[i].widths != usual.widths) << usual.name;
    if (i > 0) {
      EXPECT_LT(rows[i - 1].field, rows[i].field);
    }
  }
}

TEST(GoLayout, TheGeneratorReadsTheSameFromThisMachinesToolchain) {
  CommandResult root = run_command({"go", "env", "GOROOT", "GOVERSION"});
  if (root.status != 0) GTEST_SKIP() << "no go in PATH";
  std::istringstream lines(root.output);
  std::string goroot, version;
  lines >> goroot >> version;
  int minor = 0;
  ASSERT_EQ(sscanf(version.c_str(), "go1.%d", &minor), 1) << root.output;
  if (minor < kFirstMinor || minor > kLastMinor) GTEST_SKIP() << "the table has no column for " << version;
  CommandResult printed = run_command({HEAPWALK_SOURCE_DIR "/testdata/go/layouts", "--print", goroot});
  ASSERT_EQ(printed.status, 0) << printed.output;

  std::map<std::string, std::pair<uint32_t, uint32_t>> read;  // width, offset
  std::istringstream rows(printed.output);
  for (std::string name; rows >> name;) rows >> read[name].first >> read[name].second;
  Layout layout = *Layout::of(minor);
  size_t present = 0;
  for (size_t i = 0; i < layout_table().size(); ++i) {
    Field field{static_cast<uint16_t>(i)};
    auto found = read.find(enumerator(i));
    ASSERT_EQ(layout.has(field), found != read.end()) << enumerator(i);
    if (!layout.has(field)) continue;
    ++present;
    EXPECT_EQ(layout.width(field), found->second.first) << enumerator(i);
    EXPECT_EQ(layout.offset(field), found->second.second) << enumerator(i);
  }
  EXPECT_EQ(present, read.size());
}

}  // namespace
}  // namespace heapwalk::go
