// Run-time types of a real Go program, against what reflection says about them inside the program, and against its debug info.
#include "heapwalk/runtimes/go/types/go_types.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "dwarf/type_reader.h"
#include "heapwalk/runtimes/go/heap/pointer_mask.h"
#include "tests/support/go_source_run.h"

namespace heapwalk::go {
namespace {

Address address_of(const std::string& hex) {
  uint64_t value = 0;
  std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
  return Address{value};
}

// What the table has for a Go type of that kind.
bool is_of_kind(const TypeTable& types, TypeId id, const std::string& kind) {
  const Type& type = types[id];
  const GoForm form = form_of(types, id).form;
  if (kind == "slice") return form == GoForm::slice;
  if (kind == "string") return form == GoForm::string;
  if (kind == "interface") return form == GoForm::interface || form == GoForm::empty_interface;
  if (kind == "struct") return type.kind == TypeKind::record;
  if (kind == "array") return type.kind == TypeKind::array;
  if (kind == "ptr" || kind == "unsafe.Pointer") return type.kind == TypeKind::pointer;
  const TypeId target = pointee(types, id);
  if (kind == "func") return target != kNoType && types[target].kind == TypeKind::function;
  const GoForm target_form = form_of(types, target).form;
  if (kind == "chan") return target_form == GoForm::channel;
  if (kind == "map") return target_form == GoForm::swiss_map || target_form == GoForm::classic_map;
  return type.kind == TypeKind::base && !type.name.empty();
}

TypeId element_of(const GoTypes& types, TypeId id, const std::string& kind) {
  const TypeTable& table = types.table();
  if (kind == "slice") return form_of(table, id).element;
  if (kind == "chan") return form_of(table, pointee(table, id)).element;
  if (kind == "map") return types.map_types(pointee(table, id)).element;
  return table[id].target;
}

std::string mask_text(const PointerMask* mask, uint64_t size_bytes) {
  if (mask == nullptr) return "unknown";
  std::string text;
  uint64_t last = 0;
  for (uint64_t word = 0; word < size_bytes / 8; ++word) {
    text += mask->is_pointer(word % std::max<uint64_t>(1, mask->size_bytes / 8)) ? '1' : '0';
    if (text.back() == '1') last = word + 1;
  }
  return last == 0 ? "-" : text.substr(0, last);
}

class Comparison {
 public:
  Comparison(const CoreDump& dump, const Process& process, GoTypes& types, bool with_debug_info)
      : types_(types), masks_(dump.memory, process.layout), with_debug_info_(with_debug_info) {}

  void line(const std::vector<std::string>& columns) {
    const auto has = [&](const char* tag, size_t count) { return columns.size() == count && columns[0] == tag; };
    if (has("T", 6)) type(columns);
    if (has("E", 2) && name_ != "main.Loop") {  // of itself, which no table of pointers can hold
      EXPECT_EQ(element_of(types_, id_, kind_), types_.add(address_of(columns[1]))) << name_;
    }
    if (has("K", 2)) {
      EXPECT_EQ(types_.map_types(pointee(types_.table(), id_)).key, types_.add(address_of(columns[1]))) << name_;
    }
    if (has("F", 4)) field(columns);
  }
  size_t types() const { return count_; }
  size_t fields() const { return fields_; }

 private:
  void type(const std::vector<std::string>& columns) {
    ++count_;
    name_ = columns[2];
    kind_ = columns[3];
    const Address at = address_of(columns[1]);
    const uint64_t size_bytes = std::stoull(columns[4]);
    id_ = types_.add(at);
    ASSERT_NE(id_, kNoType) << name_;
    EXPECT_EQ(types_.table().size_bytes(id_), size_bytes) << name_;
    EXPECT_TRUE(is_of_kind(types_.table(), id_, kind_)) << name_ << " is no " << kind_;
    const TypeNode* node = types_.node_of(at);
    ASSERT_NE(node, nullptr);
    if (name_.find('?') == std::string::npos) {
      EXPECT_EQ(node->name, name_);
    }
    if (kind_ == "struct" && name_ != "?") {
      // Two functions may declare types of one name.
      EXPECT_TRUE(types_.table()[id_].name.starts_with(name_)) << name_ << ": " << types_.table()[id_].name;
    }
    EXPECT_EQ(mask_text(masks_.of(at), size_bytes), columns[5]) << name_;
    next_field_ = 0;
  }

  void field(const std::vector<std::string>& columns) {
    ++fields_;
    if (id_ == kNoType) return;
    const auto fields = types_.table().fields(id_);
    ASSERT_LT(next_field_, fields.size()) << name_;
    const heapwalk::Field& found = fields[next_field_++];
    EXPECT_EQ(found.name, columns[1]) << name_;
    EXPECT_EQ(found.offset_bytes, std::stoull(columns[2])) << name_;
    const TypeId type = types_.add(address_of(columns[3]));
    const TypeTable& table = types_.table();
    // Debug info has another name for structs without one, and for those that functions declare.
    const bool may_differ = table.spelled(type).find("struct {") != std::string::npos || found.type == kNoType ||
                            table[found.type].name.find("·") != std::string_view::npos;
    EXPECT_TRUE(found.type == type || (with_debug_info_ && may_differ))
        << name_ << "." << columns[1] << ": " << table.spelled(found.type) << ", not " << table.spelled(type);
    EXPECT_EQ(table.size_bytes(found.type), table.size_bytes(type));
  }

  GoTypes& types_;
  PointerMasks masks_;
  bool with_debug_info_;
  TypeId id_ = kNoType;
  std::string name_, kind_;
  size_t next_field_ = 0, count_ = 0, fields_ = 0;
};

void compare(const test::GoSourceRun& run, bool with_debug_info) {
  Diagnostics diagnostics;
  const auto process = find_process(run.dump(), diagnostics);
  for (const Diagnostic& each : diagnostics.all()) EXPECT_FALSE(each.code.starts_with("go_types")) << each.text;
  ASSERT_TRUE(process);
  TypeTableBuilder builder;
  if (with_debug_info) {
    read_debug_info(*process->module, 2, builder, diagnostics);
    ASSERT_GT(builder.table().size(), 500u);
  }
  GoTypes types(run.dump().memory, *process, builder);
  types.add_listed(diagnostics);
  const uint32_t listed = builder.table().size();
  Comparison comparison(run.dump(), *process, types, with_debug_info);
  for (const auto& line : run.truth()) comparison.line(line);
  types.report(diagnostics);
  EXPECT_GT(comparison.types(), 200u);
  EXPECT_GT(comparison.fields(), 200u);
  EXPECT_TRUE(builder.table().check());
  EXPECT_GT(listed, 500u);
  for (const Diagnostic& each : diagnostics.all()) {
    if (each.code.starts_with("go_types")) ADD_FAILURE() << each.text;
  }
}

TEST(GoTypes, AreWhatReflectionSays) {
  const test::GoSourceRun run("types");
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  compare(run, false);
}

TEST(GoTypes, AgreeWithDebugInfo) {
  const test::GoSourceRun run("types");
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  compare(run, true);
}

TEST(GoTypes, AreThereInStrippedPrograms) {
  const test::GoSourceRun run("types", {"-ldflags=-s -w", "-buildmode=pie"});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  compare(run, false);
}

}  // namespace
}  // namespace heapwalk::go
