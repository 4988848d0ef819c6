// Programs say themselves how their types are laid out, with sizeof and offsetof; the table read from their debug info must
// say the same.
#include "dwarf/type_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <sstream>

#include "tests/dwarf/compiled_module.h"
#include "tests/support/compiler.h"
#include "tests/support/run_program.h"

namespace heapwalk {
namespace {

using test::compile_c;
using test::compile_cxx;
using test::module_of;
using test::open_image;
using test::run_tool;
using test::TemporaryDirectory;

struct ReadTypes {
  explicit ReadTypes(const Module& module, size_t threads = 2)
      : variables(read_debug_info(module, threads, builder, diagnostics)), table(builder.table()) {}
  explicit ReadTypes(const std::string& path, size_t threads = 2) : ReadTypes(module_of(open_image(path)), threads) {}

  TypeTableBuilder builder;
  Diagnostics diagnostics;
  VariableTable variables;
  const TypeTable& table;

  const Field* field(std::string_view type, std::string_view name) const {
    auto id = table.find(type);
    if (!id) return nullptr;
    auto fields = table.fields(*id);
    auto found = std::ranges::find(fields, name, &Field::name);
    return found == fields.end() ? nullptr : &*found;
  }
  std::string field_type(std::string_view type, std::string_view name) const {
    const Field* found = field(type, name);
    return found == nullptr ? "no such field" : table.spelled(found->type);
  }
  std::vector<std::string> arguments(std::string_view type) const {
    std::vector<std::string> result;
    if (auto id = table.find(type)) {
      for (TypeId argument : table.arguments(*id)) result.push_back(table.spelled(argument));
    }
    return result;
  }
  size_t count(std::string_view name) const {
    size_t result = 0;
    for (uint32_t i = 0; i < table.size(); ++i) result += table[TypeId{i}].name == name ? 1 : 0;
    return result;
  }
  std::string losses() const {
    return diagnostics.all().empty() ? "" : diagnostics.all()[0].code + ": " + diagnostics.all()[0].text;
  }
};

// Runs the program, which prints lines "size|TYPE|BYTES" and "field|TYPE|NAME|OFFSET|BYTES", and compares.
void expect_layouts(const std::string& program, const ReadTypes& read) {
  CommandResult result = run_command({program});
  ASSERT_EQ(result.status, 0) << result.output;
  std::istringstream lines(result.output);
  size_t checked = 0;
  for (std::string line; std::getline(lines, line); ++checked) {
    std::vector<std::string> parts;
    std::istringstream text(line);
    for (std::string part; std::getline(text, part, '|');) parts.push_back(part);
    auto id = read.table.find(parts.at(1));
    if (!id) {
      ADD_FAILURE() << parts[1] << " is not in the table";
    } else if (parts[0] == "size") {
      EXPECT_EQ(read.table[*id].size_bytes, std::stoull(parts.at(2))) << parts[1];
    } else {
      const Field* field = read.field(parts[1], parts.at(2));
      if (field == nullptr) {
        ADD_FAILURE() << parts[1] << " has no field " << parts[2];
        continue;
      }
      EXPECT_EQ(field->offset_bytes, std::stoull(parts.at(3))) << line;
      EXPECT_EQ(read.table.size_bytes(field->type), std::stoull(parts.at(4))) << line;
    }
  }
  EXPECT_GT(checked, 5u);
}

#define SAY                                                        \
  "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n" \
  "#define SIZE(T) printf(\"size|%s|%zu\\n\", #T, sizeof(T))\n"    \
  "#define FIELD(T, F) printf(\"field|%s|%s|%zu|%zu\\n\", #T, #F, offsetof(T, F), sizeof(((T*)0)->F))\n"

constexpr const char* kCSource = SAY R"(
typedef struct { int a; char text[10]; double d; } Named;
typedef union { int i; void* p; char bytes[24]; } NamedUnion;
typedef enum { kRed, kGreen } Color;
typedef struct node { struct node *next; const volatile struct node *const *others; Named *named; } node_t;
typedef node_t *node_pointer;
struct declared;
typedef struct {
  node_pointer list;
  struct { short x, y; } inner;
  union { long whole; struct { int low, high; }; };
  Color color;
  int (*callback)(int, void *);
  struct declared *declared;
  int matrix[3][5][2];
  unsigned char raw[7];
  uint32_t number : 5;
  uint32_t other : 9;
  uint64_t wide : 40;
  _Bool yes;
  float f;
  long flexible[];
} Everything;
typedef Named Renamed;
Renamed renamed;
Everything everything;
node_t node;
NamedUnion named_union;
struct __attribute__((packed)) packed_struct { char c; int bits : 20; int more : 20; long l; } packed_value;
int main(void) {
  SIZE(Named); FIELD(Named, a); FIELD(Named, text); FIELD(Named, d);
  SIZE(NamedUnion); FIELD(NamedUnion, p); FIELD(NamedUnion, bytes);
  SIZE(Color); SIZE(Everything);
  FIELD(Everything, list); FIELD(Everything, inner); FIELD(Everything, color); FIELD(Everything, callback);
  FIELD(Everything, declared); FIELD(Everything, matrix); FIELD(Everything, raw); FIELD(Everything, yes);
  FIELD(Everything, f);
  printf("size|node|%zu\n", sizeof(node_t));
  printf("size|packed_struct|%zu\n", sizeof packed_value);
  return 0;
})";

void check_c(const std::string& program) {
  ReadTypes read(program);
  EXPECT_EQ(read.losses(), "");
  EXPECT_TRUE(read.table.check());
  expect_layouts(program, read);
  EXPECT_EQ(read.field_type("node", "next"), "node*");
  EXPECT_EQ(read.field_type("node", "others"), "node**");
  EXPECT_EQ(read.field_type("node", "named"), "Named*");
  EXPECT_EQ(read.field_type("Everything", "list"), "node*");
  EXPECT_EQ(read.field_type("Everything", "inner"), "(anonymous struct)");
  EXPECT_EQ(read.field_type("Everything", "color"), "Color");
  EXPECT_EQ(read.field_type("Everything", "callback"), "function*");
  EXPECT_EQ(read.field_type("Everything", "declared"), "declared*");
  EXPECT_EQ(read.field_type("Everything", "matrix"), "int[30]");
  EXPECT_TRUE(read.field_type("Everything", "flexible").ends_with("[]"));
  EXPECT_EQ(read.count("Renamed"), 0u);
  EXPECT_EQ(read.table[*read.table.find("NamedUnion")].kind, TypeKind::union_);
  EXPECT_EQ(read.table[*read.table.find("Color")].kind, TypeKind::enumeration);
  EXPECT_EQ(read.table[*read.table.find("unsigned char")].encoding, BaseEncoding::character);
  EXPECT_EQ(read.table[*read.table.find("float")].encoding, BaseEncoding::floating);
  EXPECT_EQ(read.table[*read.table.find("_Bool")].encoding, BaseEncoding::boolean);
  const Field* number = read.field("Everything", "number");
  const Field* other = read.field("Everything", "other");
  const Field* wide = read.field("Everything", "wide");
  ASSERT_TRUE(number != nullptr && other != nullptr && wide != nullptr);
  EXPECT_TRUE(number->is_bit_field && other->is_bit_field && wide->is_bit_field);
  EXPECT_EQ((number->offset_bytes | other->offset_bytes) % 4, 0u);
  EXPECT_EQ(wide->offset_bytes % 8, 0u);
  EXPECT_EQ(number->bit_size, 5);
  EXPECT_EQ(other->bit_size, 9);
  EXPECT_EQ(wide->bit_size, 40);
  const auto first_bit = [](const Field& field) { return field.offset_bytes * 8 + field.bit_offset; };
  // The ABI packs them one behind the other; `other` would reach over the end of its unit, and begins the next.
  EXPECT_EQ(first_bit(*other), (first_bit(*number) / 32 + 1) * 32);
  EXPECT_EQ(first_bit(*wide), first_bit(*other) + 9);
  // An anonymous member's fields are found in its type.
  size_t anonymous = 0;
  for (const Field& field : read.table.fields(*read.table.find("Everything"))) {
    if (!field.name.empty()) continue;
    ++anonymous;
    EXPECT_EQ(read.table[field.type].kind, TypeKind::union_);
    EXPECT_EQ(read.table.fields(field.type).size(), 2u);
  }
  EXPECT_EQ(anonymous, 1u);
  for (const Variable& variable : read.variables.all()) {
    if (variable.name == "renamed") {
      EXPECT_EQ(read.table.spelled(variable.type), "Named");
    }
    if (variable.name == "node") {
      EXPECT_EQ(read.table.spelled(variable.type), "node");
    }
  }
}

constexpr const char* kCxxSource = SAY R"(
#include <map>
#include <memory>
#include <string>
#include <vector>
namespace ns {
struct Base1 { virtual ~Base1() {} long one = 1; };
struct Base2 { virtual ~Base2() {} long two = 2; };
struct Empty {};
struct Derived : Base1, Base2, Empty { int own = 3; static int shared; static constexpr int kConstant = 4; };
int Derived::shared = 5;
struct Virtual : virtual Base1 { int v = 6; };
template <class T, int N, class... More> struct Template { T values[N]; std::tuple<More...>* more; };
class Outer {
 public:
  struct Impl;
  struct Inner { Outer* outer; };
  enum class Mode : unsigned char { on, off };
  Outer();
  Impl* impl;
  Inner inner;
  Mode mode;
  int Outer::* member;
  int (Outer::*method)(int);
  Base1& reference;
  Base1&& rvalue;
  decltype(nullptr) null;
};
struct Outer::Impl { std::string text; wchar_t wide; char16_t utf; };
static Base1 base;
Outer::Outer() : impl(new Impl), inner{this}, mode(Mode::on), member(nullptr), method(nullptr), reference(base), rvalue(static_cast<Base1&&>(base)), null(nullptr) {}
namespace { struct Hidden { int h; } hidden; }
struct Node { Node* left; std::unique_ptr<Node> right; std::vector<Node> children; };
int function() { struct Local { Local* self; int x; }; static Local local; local.self = &local; return local.x; }
}
typedef struct { int c_style; } CStyle;
CStyle c_style;
std::map<std::string, std::vector<ns::Node*>> g_map;
std::shared_ptr<ns::Derived> g_shared;
ns::Template<int, 3, char, long> g_template;
ns::Virtual g_virtual;
int main() {
  ns::Outer outer;
  SIZE(ns::Derived); SIZE(ns::Virtual); SIZE(ns::Outer); SIZE(ns::Outer::Inner); SIZE(ns::Outer::Impl); SIZE(ns::Node);
  SIZE(ns::Outer::Mode); SIZE(ns::Empty); SIZE(CStyle);
  FIELD(ns::Derived, own); FIELD(ns::Outer, impl); FIELD(ns::Outer, inner); FIELD(ns::Outer, mode);
  FIELD(ns::Outer, member); FIELD(ns::Outer, method); FIELD(ns::Outer::Impl, utf); FIELD(ns::Outer::Impl, wide);
  FIELD(ns::Node, left); FIELD(ns::Node, right); FIELD(ns::Node, children);
  ns::Derived d;
  printf("field|ns::Derived|ns::Base2|%zu|%zu\n", size_t((char*)static_cast<ns::Base2*>(&d) - (char*)&d), sizeof(ns::Base2));
  return ns::function() + ns::hidden.h + int(g_map.size());
})";

void check_cxx(const std::string& program, bool is_gcc) {
  ReadTypes read(program);
  EXPECT_EQ(read.losses(), "");
  EXPECT_TRUE(read.table.check());
  expect_layouts(program, read);
  EXPECT_EQ(read.field("ns::Derived", "one"), nullptr);
  const Field* base2 = read.field("ns::Derived", "ns::Base2");
  ASSERT_NE(base2, nullptr);
  EXPECT_TRUE(base2->is_base);
  EXPECT_EQ(base2->offset_bytes, 16u);
  EXPECT_EQ(read.field_type("ns::Derived", "ns::Base1"), "ns::Base1");
  EXPECT_EQ(read.field("ns::Derived", "shared"), nullptr);
  EXPECT_EQ(read.field("ns::Derived", "kConstant"), nullptr);
  EXPECT_EQ(read.field("ns::Virtual", "ns::Base1"), nullptr);
  EXPECT_NE(read.field("ns::Virtual", "v"), nullptr);
  EXPECT_EQ(read.field_type("ns::Outer", "impl"), "ns::Outer::Impl*");
  EXPECT_EQ(read.field_type("ns::Outer", "inner"), "ns::Outer::Inner");
  EXPECT_EQ(read.field_type("ns::Outer", "mode"), "ns::Outer::Mode");
  EXPECT_EQ(read.field_type("ns::Outer", "reference"), "ns::Base1&");
  EXPECT_EQ(read.field_type("ns::Outer", "rvalue"), "ns::Base1&");
  EXPECT_EQ(read.field_type("ns::Node", "left"), "ns::Node*");
  EXPECT_TRUE(read.table.find("ns::(anonymous namespace)::Hidden"));
  EXPECT_EQ(read.field_type("ns::function()::Local", "self"), "ns::function()::Local*");
  EXPECT_EQ(read.field_type("CStyle", "c_style"), "int");
  const char* pack = is_gcc ? "ns::Template<int, 3, char, long int>" : "ns::Template<int, 3, char, long>";
  ASSERT_EQ(read.arguments(pack).size(), 4u);
  EXPECT_EQ(read.arguments(pack)[0], "int");
  EXPECT_EQ(read.arguments(pack)[1], "void");
  EXPECT_EQ(read.field_type(pack, "values"), "int[3]");
  const char* vector = is_gcc ? "std::vector<ns::Node*, std::allocator<ns::Node*> >"
                              : "std::vector<ns::Node *, std::allocator<ns::Node *> >";
  ASSERT_EQ(read.arguments(vector).size(), 2u);
  EXPECT_EQ(read.arguments(vector)[0], "ns::Node*");
  for (const Variable& variable : read.variables.all()) {
    if (variable.name.find("::_S_") == std::string::npos) {
      EXPECT_NE(variable.type, kNoType) << variable.name;
    }
    if (variable.name == "g_map") {
      EXPECT_TRUE(read.table.spelled(variable.type).starts_with("std::map<")) << read.table.spelled(variable.type);
    }
    if (variable.name == "g_shared") {
      EXPECT_EQ(read.table.spelled(variable.type), "std::shared_ptr<ns::Derived>");
    }
  }
}

class Flags : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(Flags, C) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::string program = compile_c(directory, "program", kCSource, GetParam());
  ASSERT_FALSE(program.empty());
  check_c(program);
}

TEST_P(Flags, Cxx) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::vector<std::string> flags = GetParam();
  flags.insert(flags.end(), {"-std=c++17", "-Wno-invalid-offsetof"});
  std::string program = compile_cxx(directory, "program", kCxxSource, flags);
  ASSERT_FALSE(program.empty());
  check_cxx(program, true);
}

TEST_P(Flags, Clang) {
  if (GetParam().back() == "-fdebug-types-section") GTEST_SKIP() << "scopes of clang's type units are not read";
  TemporaryDirectory directory;
  std::string clang;
  for (const char* name : {"clang++", "clang++-19", "clang++-18", "clang++-17", "clang++-16", "clang++-14"}) {
    if (clang.empty() && run_command({name, "--version"}).status == 0) clang = name;
  }
  if (clang.empty()) GTEST_SKIP() << "no clang++ on this machine";
  std::vector<std::string> command = {clang,
                                      directory.write("program.cc", kCxxSource),
                                      "-o",
                                      directory.file("program"),
                                      "-std=c++17",
                                      "-Wno-invalid-offsetof",
                                      "-fstandalone-debug"};
  command.insert(command.end(), GetParam().begin(), GetParam().end());
  ASSERT_TRUE(run_tool(command));
  check_cxx(directory.file("program"), false);
  std::vector<std::string> c = {clang, "-x", "c", directory.write("program.c", kCSource), "-o", directory.file("c")};
  c.insert(c.end(), GetParam().begin(), GetParam().end());
  ASSERT_TRUE(run_tool(c));
  check_c(directory.file("c"));
}

INSTANTIATE_TEST_SUITE_P(TypeReader, Flags,
                         testing::Values(std::vector<std::string>{"-g", "-gdwarf-5"},
                                         std::vector<std::string>{"-g", "-gdwarf-4"},
                                         std::vector<std::string>{"-g", "-gdwarf-4", "-gstrict-dwarf"},
                                         std::vector<std::string>{"-g", "-gdwarf-5", "-gz", "-O2"},
                                         std::vector<std::string>{"-g", "-gdwarf-5", "-fdebug-types-section"},
                                         std::vector<std::string>{"-g", "-gdwarf-4", "-fdebug-types-section"}));

TEST(TypeReader, OneDefinitionAcrossUnitsAndModules) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  directory.write("shared.h",
                  "struct Opaque; typedef struct { int x; } Unnamed; struct Shared { struct Shared* next; "
                  "struct Opaque* opaque; Unnamed unnamed; struct { int a, b; } inner; };\n");
  directory.write("one.c", "#include \"shared.h\"\nstruct Shared one; int main(void) { return one.unnamed.x; }\n");
  directory.write("two.c",
                  "#include \"shared.h\"\nstruct Opaque { long size; }; struct Opaque value; struct Shared two;\n");
  std::string command = "cd " + directory.path().string() + " && cc -g one.c two.c -o program";
  ASSERT_TRUE(run_tool({"/bin/sh", "-c", command}));
  ReadTypes read(directory.file("program"));
  for (const char* name : {"Shared", "Opaque", "Unnamed", "int"}) EXPECT_EQ(read.count(name), 1u) << name;
  EXPECT_EQ(read.table[*read.table.find("Opaque")].kind, TypeKind::record);
  EXPECT_EQ(read.table[*read.table.find("Opaque")].size_bytes, 8u);
  EXPECT_EQ(read.table[read.field("Shared", "opaque")->type].target, read.table.find("Opaque"));
  for (const Variable& variable : read.variables.all()) {
    if (variable.name == "one" || variable.name == "two") {
      EXPECT_EQ(variable.type, *read.table.find("Shared"));
    }
  }
  // A second module of the same types adds nothing.
  const uint32_t size = read.table.size();
  read_debug_info(module_of(open_image(directory.file("program"))), 2, read.builder, read.diagnostics);
  EXPECT_EQ(read.table.size(), size);
  EXPECT_EQ(read.losses(), "");
}

TEST(TypeReader, SeparateDebugFile) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::string program = compile_cxx(directory, "program", kCxxSource, {"-g", "-Wno-invalid-offsetof"});
  std::string debug = directory.file("program.debug");
  std::string stripped = directory.file("stripped");
  ASSERT_TRUE(run_tool({"objcopy", "--only-keep-debug", "--compress-debug-sections", program, debug}));
  ASSERT_TRUE(run_tool({"strip", program, "-o", stripped}));
  ReadTypes whole(program);
  ReadTypes separate(module_of(open_image(stripped), open_image(debug)));
  EXPECT_EQ(ReadTypes(stripped).table.size(), 0u);
  EXPECT_EQ(separate.table.size(), whole.table.size());
  expect_layouts(program, separate);
}

// Whether link-time optimisation moved the entries, and where, is the compiler's choice: references lead from unit to unit.
TEST(TypeReader, LinkTimeOptimisation) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::string program =
      compile_cxx(directory, "program", kCxxSource, {"-g", "-O1", "-flto", "-std=c++17", "-Wno-invalid-offsetof"});
  ASSERT_FALSE(program.empty());
  ReadTypes read(program);
  EXPECT_EQ(read.losses(), "");
  expect_layouts(program, read);
  size_t maps = 0;
  for (const Variable& variable : read.variables.all()) {
    if (variable.name == "g_map") maps += read.table.spelled(variable.type).starts_with("std::map<") ? 1 : 0;
  }
  EXPECT_EQ(maps, 1u);
}

void expect_same(const TypeTable& a, const TypeTable& b) {
  ASSERT_EQ(a.size(), b.size());
  for (uint32_t i = 0; i < a.size(); ++i) {
    const TypeId id{i};
    ASSERT_EQ(a[id].name, b[id].name);
    ASSERT_EQ(a[id].size_bytes, b[id].size_bytes);
    ASSERT_EQ(a[id].target, b[id].target);
    ASSERT_TRUE(std::ranges::equal(a.arguments(id), b.arguments(id)));
    ASSERT_TRUE(std::ranges::equal(a.fields(id), b.fields(id), [](const Field& x, const Field& y) {
      return x.name == y.name && x.type == y.type && x.offset_bytes == y.offset_bytes && x.is_base == y.is_base;
    }));
  }
}

TEST(TypeReader, SameForAnyNumberOfThreads) {
  // This test program itself: many units.
  auto image = open_image("/proc/self/exe");
  ASSERT_NE(image, nullptr);
  if (!image->has_debug_info()) GTEST_SKIP() << "the tests were built without debug info";
  Module module = module_of(image);
  ReadTypes one(module, 1);
  EXPECT_TRUE(one.table.check());
  EXPECT_EQ(one.losses(), "");
  EXPECT_EQ(one.table.spelled(one.field("heapwalk::Module", "symbols")->type), "heapwalk::SymbolTable");
  EXPECT_EQ(one.table[*one.table.find("heapwalk::Module")].size_bytes, sizeof(Module));
  EXPECT_EQ(one.field("heapwalk::Module", "debug_image")->offset_bytes, offsetof(Module, debug_image));
  for (size_t threads : {2, 5}) expect_same(one.table, ReadTypes(module, threads).table);
}

TEST(TypeReader, Rust) {
  if (run_command({"rustc", "--version"}).status != 0) GTEST_SKIP() << "no rustc on this machine";
  TemporaryDirectory directory;
  directory.write("program.rs", R"(
use std::sync::Mutex;
pub struct Point { x: u8, y: u64, name: String }
pub enum Shape { Circle(Box<Point>), Square { side: u32, points: Vec<Point> }, Nothing }
pub enum Plain { A, B }
pub static SHAPES: Mutex<Vec<Shape>> = Mutex::new(Vec::new());
pub static PLAIN: Mutex<Option<(Plain, Point)>> = Mutex::new(None);
pub static TAIL: Mutex<Option<std::sync::Arc<[Point]>>> = Mutex::new(None);
fn item() -> u64 { 7 }
fn item_of(n: u64) -> u64 { n + 1 }
fn main() {
  let items = std::iter::repeat_with(item).take(3).map(item_of).sum::<u64>();
  assert_eq!(items, 24);
  SHAPES.lock().unwrap().push(Shape::Circle(Box::new(Point { x: 1, y: 2, name: String::from("p") })));
  SHAPES.lock().unwrap().push(Shape::Square { side: 3, points: Vec::new() });
  SHAPES.lock().unwrap().push(Shape::Nothing);
  *PLAIN.lock().unwrap() = Some((Plain::B, Point { x: 1, y: 2, name: String::new() }));
  println!("size|program::Point|{}", std::mem::size_of::<Point>());
  println!("size|program::Shape|{}", std::mem::size_of::<Shape>());
  println!("size|program::Plain|{}", std::mem::size_of::<Plain>());
  println!("field|program::Point|x|{}|1", std::mem::offset_of!(Point, x));
  println!("field|program::Point|y|{}|8", std::mem::offset_of!(Point, y));
  println!("field|program::Point|name|{}|{}", std::mem::offset_of!(Point, name), std::mem::size_of::<String>());
}
)");
  ASSERT_TRUE(run_tool({"rustc", "-g", directory.file("program.rs"), "-o", directory.file("program")}));
  ReadTypes read(directory.file("program"));
  EXPECT_EQ(read.losses(), "");
  EXPECT_TRUE(read.table.check());
  expect_layouts(directory.file("program"), read);
  EXPECT_EQ(read.field_type("program::Point", "name"), "alloc::string::String");
  const char* vector = "alloc::vec::Vec<program::Point, alloc::alloc::Global>";
  ASSERT_EQ(read.arguments(vector).size(), 2u);
  EXPECT_EQ(read.arguments(vector)[0], "program::Point");
  auto shape = read.table.find("program::Shape");
  ASSERT_TRUE(shape);
  EXPECT_EQ(read.table[*shape].kind, TypeKind::union_);
  EXPECT_EQ(read.field_type("program::Shape", "Circle"), "program::Shape::Circle");
  EXPECT_EQ(read.field_type("program::Shape::Square", "points"), vector);
  EXPECT_EQ(read.field_type("alloc::sync::ArcInner<[program::Point]>", "data"), "program::Point[]");
  size_t found = 0;
  for (const Variable& variable : read.variables.all()) {
    if (variable.name != "program::SHAPES") continue;
    ++found;
    EXPECT_TRUE(read.table.spelled(variable.type).find("Mutex<") != std::string::npos);
  }
  EXPECT_EQ(found, 1u);
}

// Bytes are overwritten at random: nothing crashes or hangs, and what was read obeys the laws.
TEST(TypeReader, DamagedDebugInfoIsHandled) {
  HEAPWALK_NEEDS_COMPILER();
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"-g", "-gdwarf-4"}, std::vector<std::string>{"-g", "-gdwarf-5"},
        std::vector<std::string>{"-g", "-fdebug-types-section"}}) {
    TemporaryDirectory directory;
    auto image = open_image(compile_c(directory, "program", kCSource, flags));
    ASSERT_NE(image, nullptr);
    std::mt19937 random(7);
    std::set<uint64_t> outcomes;
    uint64_t losses = 0;
    for (int round = 0; round < 600; ++round) {
      std::vector<std::byte> damaged(image->bytes().begin(), image->bytes().end());
      for (int flip = 0; flip < 1 + round % 20; ++flip) {
        const char* name = random() % 3 == 0 ? ".debug_abbrev" : ".debug_info";
        const ElfSection& section = *image->find_section(name);
        damaged[section.offset + random() % section.size_bytes] = static_cast<std::byte>(random());
      }
      auto broken = ElfImage::from_bytes(damaged, "damaged", nullptr);
      ASSERT_TRUE(broken);
      ReadTypes read(module_of(*broken), 1);
      ASSERT_TRUE(read.table.check());
      for (uint32_t i = 0; i < read.table.size(); ++i) read.table.spelled(TypeId{i});
      outcomes.insert(read.table.size());
      losses += read.diagnostics.count("damaged_debug_info");
    }
    EXPECT_GE(outcomes.size(), 5u);
    EXPECT_GT(losses, 0u);
  }
}

}  // namespace
}  // namespace heapwalk
