// The line table on tables made by hand, in both formats: what is at which instruction, and what hostile tables lead to.
#include "heapwalk/runtimes/go/program/pclntab.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/core_builder.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kTable = 0x500000, kModule = 0x600000, kData = 0x700000, kText = 0x400000;

class ByteWriter {
 public:
  std::vector<std::byte> bytes;

  uint32_t size() const { return static_cast<uint32_t>(bytes.size()); }
  ByteWriter& u8(uint64_t value) { return put(value, 1); }
  ByteWriter& u32(uint64_t value) { return put(value, 4); }
  ByteWriter& u64(uint64_t value) { return put(value, 8); }
  uint32_t text(std::string_view value) {
    const uint32_t at = size();
    for (char c : value) bytes.push_back(static_cast<std::byte>(c));
    bytes.push_back({});
    return at;
  }
  // (value, bytes of code for which it holds)…, closed by a zero. Small numbers only: one byte each.
  uint32_t values(std::initializer_list<std::pair<int, int>> pairs) {
    const uint32_t at = size();
    int last = -1;
    for (const auto& [value, code] : pairs) {
      const int change = value - last;
      u8(static_cast<uint64_t>(change < 0 ? (~change << 1) | 1 : change << 1)).u8(static_cast<uint64_t>(code));
      last = value;
    }
    u8(0);
    return at;
  }
  void append(const ByteWriter& other) { bytes.insert(bytes.end(), other.bytes.begin(), other.bytes.end()); }
  void set_u64(size_t at, uint64_t value) { std::memcpy(bytes.data() + at, &value, 8); }
  void set_u32(size_t at, uint32_t value) { std::memcpy(bytes.data() + at, &value, 4); }

 private:
  ByteWriter& put(uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<std::byte>(value >> 8 * i));
    return *this;
  }
};

// Two functions: main.outer [0, 0x40), into which main.inner is inlined at [0x10, 0x20), and runtime.goexit [0x40, 0x50).
struct HandmadeTable {
  explicit HandmadeTable(bool old_format) : old(old_format) {
    names.u8(0);
    const uint32_t outer = names.text("main.outer[go.shape.int]"), inner = names.text("main.inner");
    const uint32_t goexit = names.text("runtime.goexit");
    const uint32_t outer_file = files.text("/src/outer.go"), inner_file = files.text("/src/inner.go");
    units.u32(outer_file).u32(inner_file);
    pcs.u8(0);
    const uint32_t sp = pcs.values({{0, 4}, {24, 0x38}, {0, 4}});
    const uint32_t file = pcs.values({{0, 0x10}, {1, 0x10}, {0, 0x20}});
    const uint32_t line = pcs.values({{10, 0x8}, {11, 0x8}, {33, 0x10}, {14, 0x20}});
    const uint32_t maps = pcs.values({{-1, 0x8}, {0, 0x8}, {1, 0x30}});
    const uint32_t inlined = pcs.values({{-1, 0x10}, {0, 0x10}, {-1, 0x20}});
    const uint32_t exit_sp = pcs.values({{0, 0x10}});

    constexpr uint32_t kPairs = 2 * 8 + 4;
    const uint32_t first = kPairs + 4;  // records need not be aligned to more than 4
    ByteWriter records;
    function(records, 0, outer, 16, 0x30, {sp, file, line}, {0, maps, inlined}, 9, 0,
             {UINT32_MAX, UINT32_MAX, UINT32_MAX, 0x40});
    const uint32_t second = first + records.size();
    const uint64_t top_frame = 1;
    function(records, 0x40, goexit, 0, 0, {exit_sp, 0, 0}, {}, 1, 6 | top_frame << 8, {});
    functions.u32(0).u32(first).u32(0x40).u32(second).u32(0x50).u32(0);
    functions.append(records);
    // The tree of inlined calls: one, made at outer+0x0c.
    if (old)
      tree.u32(0xffff).u32(1).u32(11).u32(inner).u32(0x0c);
    else
      tree.u32(0).u32(inner).u32(0x0c).u32(30);
    header();
  }

  void function(ByteWriter& out, uint32_t entry, uint32_t name, uint32_t arguments, uint32_t deferreturn,
                std::initializer_list<uint32_t> tables, std::vector<uint32_t> pc_data, uint32_t start_line,
                uint64_t ids, std::vector<uint32_t> func_data) const {
    out.u32(entry).u32(name).u32(arguments).u32(deferreturn);
    for (uint32_t table : tables) out.u32(table);
    out.u32(pc_data.size()).u32(0);  // and the unit
    if (!old) out.u32(start_line);
    out.u32(ids | func_data.size() << 24);
    for (uint32_t table : pc_data) out.u32(table);
    for (uint32_t offset : func_data) out.u32(offset);
  }

  void header() {
    all.u32(old ? 0xfffffff0 : 0xfffffff1).u8(0).u8(0).u8(1).u8(8).u64(2).u64(2).u64(0);
    uint64_t at = 72;
    for (const ByteWriter* part : {&names, &units, &files, &pcs, &functions}) {
      all.u64(at);
      at += part->size();
    }
    for (const ByteWriter* part : {&names, &units, &files, &pcs, &functions}) all.append(*part);
  }

  CoreDump open() const {
    test::CoreBuilder core;
    core.map(kText, 0x1000).map(kModule, 0x1000).map(kData, 0x1000).map(kTable, 0x2000);
    core.bytes(kTable, all.bytes).bytes(kData + 0x40, tree.bytes);
    const Layout layout = *Layout::of(old ? 19 : 26);
    const uint64_t slice = kModule + layout.offset(Field::moduledata_pclntable);
    core.words(slice, {kTable + all.size() - functions.size(), functions.size(), functions.size()});
    return core.open();
  }

  std::optional<LineTable> read(const CoreDump& dump) const {
    ModuleData module;
    module.address = Address{kModule};
    module.text = {Address{kText}, Address{kText + 0x50}};
    module.pc_header = Address{kTable};
    module.gofunc = Address{kData};
    return LineTable::read(dump.memory, *Layout::of(old ? 19 : 26), module);
  }

  bool old;
  ByteWriter names, units, files, pcs, functions, tree, all;
};

class HandmadeLineTable : public testing::TestWithParam<bool> {
 protected:
  HandmadeTable made_{GetParam()};
  CoreDump dump_ = made_.open();
  std::optional<LineTable> table_ = made_.read(dump_);
};

TEST_P(HandmadeLineTable, FindsFunctionsByTheirCode) {
  ASSERT_TRUE(table_);
  EXPECT_EQ(table_->size(), 2U);
  EXPECT_FALSE(table_->find(Address{kText - 1}));
  EXPECT_FALSE(table_->find(Address{kText + 0x50}));
  for (uint64_t offset : {0x0, 0x3f}) {
    const auto function = table_->find(Address{kText + offset});
    ASSERT_TRUE(function);
    EXPECT_EQ(function->name, "main.outer[go.shape.int]");
    EXPECT_EQ(function->code, (AddressRange{Address{kText}, Address{kText + 0x40}}));
    EXPECT_EQ(function->arguments_bytes, 16);
    EXPECT_EQ(function->deferreturn_offset, 0x30U);
    EXPECT_EQ(function->start_line, GetParam() ? 0U : 9U);
    EXPECT_EQ(function->kind, FunctionKind::normal);
    EXPECT_FALSE(function->top_frame);
  }
  const auto last = table_->find(Address{kText + 0x40});
  ASSERT_TRUE(last);
  EXPECT_EQ(last->name, "runtime.goexit");
  EXPECT_TRUE(last->top_frame);
  // Number 6 until a function was put in front of it.
  EXPECT_EQ(last->kind, GetParam() ? FunctionKind::gc_bg_mark_worker : FunctionKind::debug_call);
}

TEST_P(HandmadeLineTable, AddsValuesUpToThePc) {
  ASSERT_TRUE(table_);
  const Function function = *table_->find(Address{kText});
  const std::pair<uint64_t, int64_t> deltas[] = {{0, 0}, {3, 0}, {4, 24}, {0x3b, 24}, {0x3c, 0}, {0x3f, 0}};
  for (const auto& [offset, delta] : deltas) EXPECT_EQ(table_->sp_delta(function, Address{kText + offset}), delta);
  EXPECT_EQ(table_->pc_data(function, PcData::unsafe_point, Address{kText}), -1);  // no such table
  EXPECT_EQ(table_->pc_data(function, PcData::stack_map_index, Address{kText + 7}), -1);
  EXPECT_EQ(table_->pc_data(function, PcData::stack_map_index, Address{kText + 8}), 0);
  EXPECT_EQ(table_->pc_data(function, PcData::stack_map_index, Address{kText + 0x3f}), 1);
  EXPECT_EQ(table_->func_data(function, FuncData::inline_tree), Address{kData + 0x40});
  EXPECT_EQ(table_->func_data(function, FuncData::locals_pointers), Address{});
}

TEST_P(HandmadeLineTable, UnfoldsInlinedCalls) {
  ASSERT_TRUE(table_);
  const Function function = *table_->find(Address{kText});
  std::vector<LogicalFrame> frames;
  table_->logical_frames(function, Address{kText + 0x18}, frames);
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[0].function, "main.inner");
  EXPECT_EQ(frames[0].file, "/src/inner.go");
  EXPECT_EQ(frames[0].line, 33U);
  EXPECT_TRUE(frames[0].inlined);
  EXPECT_EQ(frames[1].function, "main.outer[go.shape.int]");
  EXPECT_EQ(frames[1].file, "/src/outer.go");
  EXPECT_EQ(frames[1].line, 11U);  // of the call, at +0x0c
  EXPECT_FALSE(frames[1].inlined);
  EXPECT_EQ(frames[1].call_pc, Address{kText + 0x0c});
  frames.clear();
  table_->logical_frames(function, Address{kText + 0x20}, frames);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].line, 14U);
}

TEST_P(HandmadeLineTable, NoInlineTreeIsFollowedInCircles) {
  // The call that was inlined says that it was made from within itself.
  made_.tree.set_u32(GetParam() ? 16 : 8, 0x18);
  dump_ = made_.open();
  table_ = made_.read(dump_);
  ASSERT_TRUE(table_);
  std::vector<LogicalFrame> frames;
  table_->logical_frames(*table_->find(Address{kText}), Address{kText + 0x18}, frames);
  ASSERT_FALSE(frames.empty());
  EXPECT_LE(frames.size(), 2000U);
  EXPECT_FALSE(frames.back().inlined);
}

TEST_P(HandmadeLineTable, EveryDamagedWordIsSurvived) {
  for (const uint64_t value : {uint64_t{0}, UINT64_MAX, uint64_t{0x8080808080808080}, uint64_t{0x7fffffff}}) {
    for (size_t at = 0; at + 8 <= made_.all.bytes.size(); at += 4) {
      HandmadeTable damaged(GetParam());
      damaged.all.set_u64(at, value);
      const CoreDump dump = damaged.open();
      const auto table = damaged.read(dump);
      if (!table) continue;
      for (uint64_t offset = 0; offset < 0x50; offset += 4) {
        const auto function = table->find(Address{kText + offset});
        if (!function) continue;
        EXPECT_TRUE(function->code.contains(Address{kText + offset}));
        std::vector<LogicalFrame> frames;
        table->logical_frames(*function, Address{kText + offset}, frames);
        EXPECT_FALSE(frames.empty());
        table->sp_delta(*function, Address{kText + offset});
        table->func_data(*function, FuncData::stack_objects);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, HandmadeLineTable, testing::Bool(),
                         [](const auto& test) { return test.param ? "Go118" : "Go120"; });

TEST(PrintedFunctionNameTest, LeavesOutTypeArguments) {
  EXPECT_EQ(printed_function_name("main.f"), "main.f");
  EXPECT_EQ(printed_function_name("main.(*Map[go.shape.int,a/b.T[x]]).Get"), "main.(*Map[...]).Get");
  EXPECT_EQ(printed_function_name("main.f[...]"), "main.f[...]");
  EXPECT_EQ(printed_function_name("main.]x["), "main.]x[");
}

}  // namespace
}  // namespace heapwalk::go
