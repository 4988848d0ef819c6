// What read_debug_info() says of a compiled file, as text: two files whose debug info says the same read alike.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <set>
#include <string>
#include <utility>

#include "dwarf/type_reader.h"
#include "tests/dwarf/compiled_module.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {

// What was read, as text: the same for the same content.
struct Read {
  explicit Read(const std::string& program, const CoreOptions& options = {}, size_t threads = 2) {
    if (auto image = open_image(program)) read(module_of(image), options, threads);
  }
  explicit Read(const Module& module) { read(module, {}, 2); }
  void read(const Module& module, const CoreOptions& options, size_t threads) {
    TypeTableBuilder builder;
    const VariableTable table = read_debug_info(module, threads, builder, diagnostics, options);
    say(builder.table(), table);
  }
  Read() = default;
  void say(const TypeTable& known, const VariableTable& table) {
    EXPECT_TRUE(known.check());
    for (auto all : {table.all(), table.tls()}) {
      for (const Variable& each : all) {
        variables += fmt::format("{}: {}, {} bytes, {}{}\n", each.name, known.spelled(each.type), each.size_bytes,
                                 each.source, each.tls ? ", thread-local" : "");
      }
    }
    for (uint32_t i = 0; i < known.size(); ++i) {
      const Type& type = known[TypeId{i}];
      std::string text = fmt::format("{}, {} bytes, {} {}:", known.spelled(TypeId{i}), type.size_bytes,
                                     static_cast<int>(type.form), type.mangled);
      for (const Field& field : known.fields(TypeId{i})) {
        text += fmt::format(" {} {}@{}", known.spelled(field.type), field.name, field.offset_bytes);
        if (field.is_base) text += " base";
        if (field.is_bit_field) text += fmt::format(" bits {}+{}", field.bit_offset, field.bit_size);
        if (field.variant != FieldVariant::none)
          text += fmt::format(" variant {} {:#x}", static_cast<int>(field.variant), field.discriminant);
      }
      in_order += text + "\n";
      types.insert(std::move(text));
    }
  }
  std::string losses() const {
    std::string text;
    for (const Diagnostic& each : diagnostics.all())
      text += fmt::format("{} {}: {}\n", each.count, each.code, each.text);
    return text;
  }

  std::string variables;
  std::multiset<std::string> types;
  std::string in_order;  // the types, by id
  Diagnostics diagnostics;
};

inline std::string lines_without(const std::multiset<std::string>& lines, const std::multiset<std::string>& others) {
  std::string text;
  for (const std::string& line : lines) text += others.contains(line) ? "" : line + "\n";
  return text;
}

// The first of these programs that is installed, or "".
inline std::string find_tool(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (run_command({name, "--version"}).status == 0) return name;
  }
  return "";
}

}  // namespace heapwalk::test
