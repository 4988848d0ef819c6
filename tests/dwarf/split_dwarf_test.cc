// A program is compiled twice, with its debug info inside and split off: both must say the same of types and variables,
// wherever the .dwo files lie and whoever packed them. Then files are taken away, exchanged and damaged.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>

#include "tests/dwarf/read_text.h"
#include "tests/support/compiler.h"
#include "tests/support/run_program.h"

namespace heapwalk {
namespace {

namespace fs = std::filesystem;

using test::find_tool;
using test::lines_without;
using test::open_image;
using test::Read;
using test::run_tool;
using test::TemporaryDirectory;

constexpr const char* kShared = R"(#include <map>
#include <string>
#include <vector>
namespace space {
struct Session { std::string name; std::vector<Session*> others; long numbers[3]; };
enum class Color : short { red, green };
extern std::map<int, Session> sessions;
extern thread_local Session* current;
int other(int);
}
)";
constexpr const char* kFirst = R"(#include "shared.h"
namespace space {
std::map<int, Session> sessions;
static Color favourite = Color::green;
namespace { struct { int a, b; } hidden; }
}
int table[4][3];
thread_local int numbers[5];
int main(int argc, char**) {
  static long calls;
  space::hidden.a += argc;
  calls += argc;
  numbers[1] = static_cast<int>(space::favourite);
  return space::other(table[0][1]) + static_cast<int>(calls) + space::hidden.a;
}
)";
constexpr const char* kSecond = R"(#include "shared.h"
namespace space {
thread_local Session* current;
template <class T> struct Cache { T* entries; unsigned count : 7; static Cache all; };
template <class T> Cache<T> Cache<T>::all;
int other(int x) {
  static struct State { Session* last; int uses; } state;
  state.uses += x + static_cast<int>(Cache<Session>::all.count);
  current = state.last;
  return state.uses;
}
}
)";

struct Variant {
  const char* name;
  const char* compiler;
  std::string flags;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.compiler << " " << variant.flags;
}

class Split : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    const bool is_clang = std::string(GetParam().compiler) == "clang++";
    compiler_ = is_clang ? find_tool({"clang++", "clang++-19", "clang++-16", "clang++-14"}) : find_tool({"g++"});
    if (compiler_.empty() || find_tool({"objcopy"}).empty()) GTEST_SKIP() << GetParam().compiler << " is not here";
    directory_.write("shared.h", kShared);
    directory_.write("first.cc", kFirst);
    directory_.write("second.cc", kSecond);
    for (const char* unit : {"first", "second"}) compile(unit, "");
    link("whole");
    for (const char* unit : {"first", "second"}) compile(unit, "-gsplit-dwarf");
    link("program");
    ASSERT_TRUE(fs::exists(file("first.dwo")));
    ASSERT_TRUE(fs::exists(file("second.dwo")));
  }
  std::string file(const std::string& name) const { return directory_.file(name); }
  void in_directory(const std::string& command) const {
    ASSERT_TRUE(run_tool({"sh", "-c", fmt::format("cd '{}' && {}", directory_.path().string(), command)}));
  }
  void compile(const std::string& unit, const std::string& more) const {
    in_directory(fmt::format("{0} -std=c++20 {1} {2} -c {3}.cc -o {3}.o", compiler_, GetParam().flags, more, unit));
  }
  void link(const std::string& name) const { in_directory(fmt::format("{} first.o second.o -o {}", compiler_, name)); }
  // False: no tool here packs what this compiler wrote.
  bool pack() const {
    const bool is_old = GetParam().flags.find("dwarf-4") != std::string::npos;
    const std::string tool =
        is_old ? find_tool({"dwp", "llvm-dwp-19", "llvm-dwp"}) : find_tool({"llvm-dwp-19", "llvm-dwp"});
    if (tool.empty()) return false;
    in_directory(tool + " first.dwo second.dwo -o program.dwp");
    fs::remove(file("first.dwo"));
    fs::remove(file("second.dwo"));
    return true;
  }
  void expect_whole(const CoreOptions& options = {}) const {
    const Read whole(file("whole")), split(file("program"), options);
    EXPECT_EQ(whole.losses(), "");
    EXPECT_EQ(split.losses(), "");
    EXPECT_EQ(split.variables, whole.variables);
    EXPECT_EQ(lines_without(whole.types, split.types), "");   // GCC leaves unused types in split units
    EXPECT_GT(std::ranges::count(split.variables, '\n'), 5);  // the comparison above was not one of nothings
    EXPECT_GT(split.types.size(), 50u);
  }

  TemporaryDirectory directory_;
  std::string compiler_;
};

TEST_P(Split, SaysWhatTheWholeSays) {
  expect_whole();
  const Read one(file("program"), {}, 1), many(file("program"), {}, 5);
  EXPECT_EQ(one.variables, many.variables);
  EXPECT_EQ(one.types, many.types);
}

TEST_P(Split, PackageSaysWhatTheWholeSays) {
  if (!pack()) GTEST_SKIP() << "nothing here packs .dwo files";
  expect_whole();
  fs::create_directory(file("packages"));
  fs::rename(file("program.dwp"), file("packages/program.dwp"));
  expect_whole({.debug_dirs = {file("packages")}});
}

TEST_P(Split, FilesAreFoundElsewhere) {
  fs::create_directory(file("flat"));
  for (const char* name : {"first.dwo", "second.dwo"}) fs::rename(file(name), file(std::string("flat/") + name));
  expect_whole({.debug_dirs = {file("flat")}});
  const std::string mirrored = file("root") + directory_.path().string();
  fs::create_directories(mirrored);
  for (const char* name : {"first.dwo", "second.dwo"}) {
    fs::rename(file(std::string("flat/") + name), mirrored + "/" + name);
  }
  expect_whole({.debug_dirs = {file("root")}});
  expect_whole({.sysroot = file("root")});
  fs::create_directory(file("moved"));
  for (const char* name : {"first.dwo", "second.dwo"})
    fs::rename(mirrored + "/" + name, file(std::string("moved/") + name));
  fs::rename(file("program"), file("moved/program"));
  fs::create_symlink("moved/program", file("program"));
  expect_whole();
}

TEST_P(Split, TruncatedAndMissingFilesAreNamed) {
  fs::resize_file(file("second.dwo"), 1000);
  const Read truncated(file("program"));
  EXPECT_GT(truncated.diagnostics.count("damaged_debug_info"), 0u);
  EXPECT_NE(truncated.losses().find("second.dwo"), std::string::npos) << truncated.losses();
  directory_.write("second.dwo", "no ELF file");
  EXPECT_GT(Read(file("program")).diagnostics.count("damaged_debug_info"), 0u);
  fs::remove(file("second.dwo"));
  const Read read(file("program"));
  EXPECT_EQ(read.diagnostics.count("split_debug_info"), 1u);
  EXPECT_NE(read.losses().find("second.dwo"), std::string::npos) << read.losses();
  EXPECT_NE(read.variables.find("table: int[12]"), std::string::npos) << read.variables;
  EXPECT_EQ(read.variables.find("State"), std::string::npos);
}

TEST_P(Split, FileOfAnotherBuildIsRefused) {
  directory_.write("second.cc", std::string("int more = 4;\n") + kSecond);
  compile("second", "-gsplit-dwarf");
  const Read read(file("program"));
  EXPECT_EQ(read.diagnostics.count("debug_file_mismatch"), 1u);
  EXPECT_NE(read.losses().find("second.dwo"), std::string::npos) << read.losses();
  EXPECT_NE(read.variables.find("table: int[12]"), std::string::npos) << read.variables;
  EXPECT_EQ(read.variables.find("State"), std::string::npos);
  // The right one further down the list of places is taken.
  fs::create_directory(file("stale"));
  fs::rename(file("second.dwo"), file("stale/second.dwo"));
  directory_.write("second.cc", kSecond);
  compile("second", "-gsplit-dwarf");
  expect_whole({.debug_dirs = {file("stale")}});
}

TEST_P(Split, PackageOfAnotherBuildIsRefused) {
  directory_.write("other.cc", "int more = 4;\n");
  compile("other", "-gsplit-dwarf");
  fs::rename(file("other.dwo"), file("program.dwp"));
  const Read read(file("program")), whole(file("whole"));
  EXPECT_EQ(read.diagnostics.count("debug_file_mismatch"), 1u) << read.losses();
  EXPECT_EQ(read.variables, whole.variables);  // of the .dwo files
}

// Bytes are overwritten at random: nothing crashes or hangs.
TEST_P(Split, DamagedFilesAreHandled) {
  const std::string name = std::string(GetParam().name).ends_with("gz") || !pack() ? "second.dwo" : "program.dwp";
  std::ifstream in(file(name), std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  auto image = open_image(file(name));
  ASSERT_NE(image, nullptr);
  std::vector<ElfSection> targets;
  for (const ElfSection& section : image->sections()) {
    const bool is_big = section.name.starts_with(".debug_str") || section.name.starts_with(".debug_line");
    if (section.name.starts_with(".debug_") && section.size_bytes > 0 && !is_big) targets.push_back(section);
  }
  ASSERT_GE(targets.size(), 2u);
  std::mt19937 random(11);
  size_t noticed = 0;
  for (int round = 0; round < 60; ++round) {
    std::string damaged = good;
    for (int flip = 0; flip < 1 + round % 20; ++flip) {
      const ElfSection& section = targets[random() % targets.size()];
      damaged[section.offset + random() % section.size_bytes] = static_cast<char>(random());
    }
    directory_.write(name, damaged);
    if (!Read(file("program"), {}, 1).losses().empty()) ++noticed;
  }
  EXPECT_GT(noticed, 30u);  // a flip that only changes a number is a different program, not damage
}

INSTANTIATE_TEST_SUITE_P(BuiltBy, Split,
                         testing::Values(Variant{"gcc4", "g++", "-gdwarf-4"}, Variant{"gcc5", "g++", "-gdwarf-5 -O2"},
                                         Variant{"gcc4_types", "g++", "-gdwarf-4 -fdebug-types-section"},
                                         Variant{"gcc5_types", "g++", "-gdwarf-5 -fdebug-types-section"},
                                         Variant{"gcc5_gz", "g++", "-gdwarf-5 -gz"},
                                         Variant{"clang4", "clang++", "-gdwarf-4 -O2"},
                                         Variant{"clang5", "clang++", "-gdwarf-5"},
                                         Variant{"clang5_types", "clang++", "-gdwarf-5 -fdebug-types-section"}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace heapwalk
