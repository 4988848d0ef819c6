#include "dwarf/variables.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <random>

#include "dump/elf_image.h"
#include "dwarf/type_reader.h"
#include "tests/dwarf/compiled_module.h"
#include "tests/support/compiler.h"

namespace heapwalk {
namespace {

using test::compile_c;
using test::compile_cxx;
using test::run_tool;
using test::TemporaryDirectory;

using test::kBias;
using test::module_of;
using test::open_image;

VariableTable variables_of(const Module& module, size_t threads, Diagnostics& diagnostics) {
  TypeTableBuilder types;
  return read_debug_info(module, threads, types, diagnostics);
}

const Variable* named(const VariableTable& table, std::string_view name) {
  for (auto variables : {table.all(), table.tls()}) {
    for (const Variable& variable : variables) {
      if (variable.name == name) return &variable;
    }
  }
  return nullptr;
}

constexpr const char* kSource = R"(#include <map>
#include <string>
namespace space {
int plain = 3;
namespace { int hidden = 4; }
static int internal = 5;
struct Class {
  static std::map<int, std::string> table;
  struct Nested { static char buffer[64]; };
  int method(int x);
};
std::map<int, std::string> Class::table;
char Class::Nested::buffer[64];
int Class::method(int x) { static long calls[10]; calls[1] += x; return int(calls[1]); }
template <class T> T variable_template = T(7);
template <class T> struct Template { static T value; };
template <class T> T Template<T>::value = T(1);
namespace {
struct Local { static int member; };
int Local::member = 11;
int* touch() { return &Local::member; }
}  // namespace
}  // namespace space
extern "C" { int c_array[4][3] = {{1}}; }
thread_local int thread_number = 4;
static thread_local std::string* thread_text;
inline int inline_function(int y) { static std::string cache = "x"; return int(cache.size()) + y; }
static int static_function(int a) { static struct { int q; long z; } state; state.q += a; return state.q; }
struct { int a, b; } unnamed_type;
const char* message = "hello";
volatile int* const* pointer;
int main(int argc, char**) {
  static int in_main;
  in_main += argc;
  space::hidden += argc;
  space::internal += argc;
  thread_text = nullptr;
  space::Class object;
  return space::variable_template<int> + int(space::Template<long>::value) + static_function(argc) +
         inline_function(argc) + *space::touch() + space::hidden + object.method(3) + in_main + thread_number;
}
)";

class Compiled : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(Compiled, EveryVariableHasItsNamePlaceSizeAndSource) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  auto image = open_image(compile_cxx(directory, "program", kSource, GetParam()));
  ASSERT_NE(image, nullptr);
  Module module = module_of(image);
  Diagnostics diagnostics;
  TypeTableBuilder types;
  VariableTable table = read_debug_info(module, 2, types, diagnostics);
  EXPECT_TRUE(diagnostics.all().empty()) << diagnostics.all()[0].text;

  struct Expected {
    const char* name;
    const char* symbol;
    uint64_t size_bytes;
    unsigned line;
    const char* type;
  };
  const Expected expected[] = {
      {"space::plain", "_ZN5space5plainE", 4, 4, "int"},
      {"space::(anonymous namespace)::hidden", "_ZN5space12_GLOBAL__N_16hiddenE", 4, 5, "int"},
      {"space::internal", "_ZN5spaceL8internalE", 4, 6, "int"},
      {"space::Class::table", "_ZN5space5Class5tableB5cxx11E", 48, 0, nullptr},
      {"space::Class::Nested::buffer", "_ZN5space5Class6Nested6bufferE", 64, 0, "char[64]"},
      {"space::Class::method()::calls", "_ZZN5space5Class6methodEiE5calls", 80, 14, "long int[10]"},
      {"space::variable_template<int>", "_ZN5space17variable_templateIiEE", 4, 15, "int"},
      {"space::Template<long>::value", "_ZN5space8TemplateIlE5valueE", 8, 0, "long int"},
      {"c_array", "c_array", 48, 24, "int[12]"},
      {"inline_function()::cache", "_ZZ15inline_functioniE5cache", 32, 27, nullptr},
      {"static_function()::state", "_ZZL15static_functioniE5state", 16, 28, "(anonymous struct)"},
      {"unnamed_type", "unnamed_type", 8, 29, "(anonymous struct)"},
      {"message", "message", 8, 30, "char*"},
      {"pointer", "pointer", 8, 31, "int**"},
      {"main()::in_main", "_ZZ4mainE7in_main", 4, 33, "int"}};
  for (const Expected& e : expected) {
    const Variable* variable = named(table, e.name);
    if (variable == nullptr) {
      ADD_FAILURE() << e.name << " is not in the table";
      continue;
    }
    auto range = module.symbol_range(e.symbol);
    if (!range) range = module.symbol_range(std::string(e.symbol) + "B5cxx11");  // the type's ABI tag, as GCC has it
    ASSERT_TRUE(range) << e.symbol;
    EXPECT_EQ(variable->address, range->begin) << e.name;
    EXPECT_EQ(variable->size_bytes, e.size_bytes) << e.name;
    EXPECT_EQ(table.find(range->begin + (e.size_bytes - 1)), variable) << e.name;
    EXPECT_FALSE(variable->tls);
    if (e.type != nullptr) {
      EXPECT_EQ(types.table().spelled(variable->type), e.type) << e.name;
    }
    EXPECT_EQ(types.table().size_bytes(variable->type), e.size_bytes) << e.name;
    if (e.line != 0) {
      EXPECT_TRUE(variable->source.ends_with(fmt::format("program.cc:{}", e.line)))
          << e.name << ": " << variable->source;
    }
  }
  const Variable* number = named(table, "thread_number");
  const Variable* text = named(table, "thread_text");
  ASSERT_TRUE(number != nullptr && text != nullptr);
  EXPECT_TRUE(number->tls && text->tls);
  EXPECT_EQ(number->address.value, module.symbols.find_by_name("thread_number")->link_address);
  EXPECT_EQ(table.find_tls(number->address.value + 3), number);
  EXPECT_EQ(table.find(Address{kBias}), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Flags, Compiled,
                         testing::Values(std::vector<std::string>{"-g", "-gdwarf-5"},
                                         std::vector<std::string>{"-g", "-gdwarf-4"},
                                         std::vector<std::string>{"-g", "-gdwarf-5", "-gz"},
                                         std::vector<std::string>{"-g", "-gdwarf-4", "-no-pie"},
                                         std::vector<std::string>{"-g", "-fdebug-types-section"}));

// Without a symbol table sizes come from the types; in the optimised program the members of classes in unnamed
// namespaces and the statics of inlined functions are named by their declarations.
TEST(Variables, SizesAndScopesFromTheDebugInfoAlone) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  auto image = open_image(compile_cxx(directory, "program", kSource, {"-g", "-O1"}));
  ASSERT_NE(image, nullptr);
  Module module = module_of(image);
  module.symbols = SymbolTable();
  Diagnostics diagnostics;
  VariableTable table = variables_of(module, 1, diagnostics);
  for (auto [name, size] :
       std::initializer_list<std::pair<const char*, uint64_t>>{{"space::plain", 4},
                                                               {"space::Class::table", 48},
                                                               {"space::Class::Nested::buffer", 64},
                                                               {"space::Class::method()::calls", 80},
                                                               {"c_array", 48},
                                                               {"inline_function()::cache", 32},
                                                               {"static_function()::state", 16},
                                                               {"message", 8},
                                                               {"thread_number", 4}}) {
    ASSERT_NE(named(table, name), nullptr) << name;
    EXPECT_EQ(named(table, name)->size_bytes, size) << name;
  }
  EXPECT_EQ(named(table, "pointer") == nullptr ? 8u : named(table, "pointer")->size_bytes, 8u);
  const Variable* member = named(table, "space::(anonymous namespace)::Local::member");
  EXPECT_TRUE(member == nullptr || member->size_bytes == 4);
}

TEST(Variables, FromASeparateDebugFile) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::string program = compile_cxx(directory, "program", kSource, {"-g"});
  std::string debug = directory.file("program.debug");
  std::string stripped = directory.file("stripped");
  ASSERT_TRUE(run_tool({"objcopy", "--only-keep-debug", "--compress-debug-sections", program, debug}));
  ASSERT_TRUE(run_tool({"strip", program, "-o", stripped}));
  Diagnostics diagnostics;
  VariableTable whole = variables_of(module_of(open_image(program)), 1, diagnostics);
  EXPECT_EQ(variables_of(module_of(open_image(stripped)), 1, diagnostics).size(), 0u);
  VariableTable separate = variables_of(module_of(open_image(stripped), open_image(debug)), 1, diagnostics);
  EXPECT_GT(whole.size(), 15u);
  EXPECT_EQ(separate.size(), whole.size());
  EXPECT_TRUE(diagnostics.all().empty());
}

TEST(Variables, SourcesAreRelativeToTheCompilationDirectory) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::filesystem::create_directories(directory.file("src/deep"));
  directory.write("src/deep/part.h", "int in_header = 2;\n");
  directory.write("src/main.c", "#include \"deep/part.h\"\n\nint in_source = 1;\nint main(void) { return 0; }\n");
  for (const char* version : {"-gdwarf-4", "-gdwarf-5"}) {
    std::string command = "cd " + directory.path().string() + " && cc -g " + version + " src/main.c -o program";
    ASSERT_TRUE(run_tool({"/bin/sh", "-c", command}));
    Diagnostics diagnostics;
    VariableTable table = variables_of(module_of(open_image(directory.file("program"))), 1, diagnostics);
    ASSERT_NE(named(table, "in_source"), nullptr);
    EXPECT_EQ(named(table, "in_source")->source, "src/main.c:3") << version;
    EXPECT_EQ(named(table, "in_header")->source, "src/deep/part.h:1") << version;
  }
}

TEST(Variables, SameForAnyNumberOfThreads) {
  HEAPWALK_NEEDS_COMPILER();
  // This test program itself: many units.
  auto image = open_image("/proc/self/exe");
  ASSERT_NE(image, nullptr);
  if (!image->has_debug_info()) GTEST_SKIP() << "the tests were built without debug info";
  Module module = module_of(image);
  Diagnostics diagnostics;
  VariableTable one = variables_of(module, 1, diagnostics);
  for (size_t threads : {2, 7}) {
    VariableTable other = variables_of(module, threads, diagnostics);
    ASSERT_EQ(other.size(), one.size());
    for (size_t i = 0; i < one.all().size(); ++i) {
      EXPECT_EQ(one.all()[i].address, other.all()[i].address);
      EXPECT_EQ(one.all()[i].name, other.all()[i].name);
      EXPECT_EQ(one.all()[i].source, other.all()[i].source);
    }
  }
}

TEST(VariableTable, FindsTheInnermost) {
  VariableTable table({{"outer", Address{100}, 100, "", false},
                       {"inner", Address{120}, 10, "", false},
                       {"twin", Address{120}, 4, "", false},
                       {"tls", Address{120}, 4, "", true},
                       {"unsized", Address{300}, 0, "", false}});
  EXPECT_EQ(table.size(), 4u);
  EXPECT_EQ(table.find(Address{110})->name, "outer");
  EXPECT_EQ(table.find(Address{121})->name, "inner");
  EXPECT_EQ(table.find(Address{130})->name, "outer");
  EXPECT_EQ(table.find(Address{200}), nullptr);
  EXPECT_EQ(table.find(Address{300})->name, "unsized");
  EXPECT_EQ(table.find_tls(121)->name, "tls");
  EXPECT_EQ(VariableTable().find(Address{1}), nullptr);
}

// Bytes of the debug sections are overwritten at random: whatever comes of it, nothing crashes or hangs.
TEST(Variables, DamagedDebugInfoIsHandled) {
  HEAPWALK_NEEDS_COMPILER();
  for (const char* version : {"-gdwarf-4", "-gdwarf-5"}) {
    TemporaryDirectory directory;
    std::string path = compile_cxx(directory, "program", kSource, {"-g", version, "-O1"});
    auto image = open_image(path);
    ASSERT_NE(image, nullptr);
    std::vector<std::byte> bytes(image->bytes().begin(), image->bytes().end());
    std::vector<const ElfSection*> sections;
    for (const char* name : {".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_line_str"}) {
      if (const ElfSection* section = image->find_section(name)) sections.push_back(section);
    }
    std::mt19937 random(5);
    size_t noticed = 0;
    for (int round = 0; round < 300; ++round) {
      std::vector<std::byte> damaged = bytes;
      for (int flip = 0; flip < 1 + round % 20; ++flip) {
        const ElfSection& section = *sections[random() % sections.size()];
        // Half of the damage hits the headers at the section's begin.
        size_t span = random() % 2 == 0 ? section.size_bytes : std::min<size_t>(section.size_bytes, 64);
        damaged[section.offset + random() % span] = static_cast<std::byte>(random());
      }
      auto broken = ElfImage::from_bytes(damaged, "damaged", nullptr);
      ASSERT_TRUE(broken);
      Diagnostics diagnostics;
      variables_of(module_of(*broken), 1, diagnostics);
      if (diagnostics.count("damaged_debug_info") > 0) ++noticed;
    }
    EXPECT_GT(noticed, 0u);
  }
}

}  // namespace
}  // namespace heapwalk
