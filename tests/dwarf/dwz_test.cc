// Two programs are compiled and read; then dwz moves what is repeated in them into partial units, and what they have in
// common into a file of its own. Both must say afterwards what they said before, wherever that file lies. Then it is taken
// away, exchanged and damaged.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/dwarf/read_text.h"
#include "tests/support/compiler.h"

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
class Outer {
 public:
  struct Impl;
  struct Inner { Outer* outer; struct { int a, b; } pair; };
  Impl* impl;
  Inner inner;
  static int count;
};
struct Outer::Impl { struct Deep { Session* session; } deep; Session session; union { int i; float f; }; };
extern std::map<int, Session> sessions;
template <class T> struct Cache { T* entries; unsigned count : 7; static Cache all; };
template <class T> Cache<T> Cache<T>::all;
inline Session* last() { static Session* kept; return kept; }
inline thread_local Session* current;
namespace { struct Hidden { Session* session; } hidden; struct Holder { static Hidden* held; }; }
static Color favourite = Color::green;
int other(int);
}
typedef struct { int x; long y[2]; } Unnamed;
)";
constexpr const char* kLibrary = R"(#include "shared.h"
namespace space {
std::map<int, Session> sessions;
int Outer::count;
namespace { Hidden* Holder::held; }
int other(int x) {
  static struct Local { Session* session; Outer::Impl impl; } local;
  return x + Cache<Session>::all.count + (hidden.session == Holder::held->session) + (local.session == last()) +
         static_cast<int>(favourite);
}
}
Unnamed unnamed;
thread_local int numbers[5];
)";
constexpr const char* kFirst = R"(#include "shared.h"
static space::Outer::Impl impl;
static std::vector<std::string> strings;
Unnamed table[4];
int main(int count, char**) {
  strings.emplace_back("x");
  return space::other(count) + space::Outer::count + static_cast<int>(impl.session.numbers[0]) +
         (space::last() == space::current) + (space::hidden.session == nullptr) + static_cast<int>(space::favourite);
}
)";
constexpr const char* kSecond = R"(#include "shared.h"
space::Outer::Inner inner;
std::vector<space::Session> list;
int main(int count, char**) {
  static std::map<std::string, space::Outer::Impl::Deep> deep;
  list.clear();
  return space::other(count) + static_cast<int>(deep.size()) + (space::last() == nullptr) +
         (space::hidden.session == nullptr) + space::Cache<int>::all.count;
}
)";

struct Variant {
  const char* name;
  const char* compiler;
  std::string flags;
  const char* dwz;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.compiler << " " << variant.flags << ", dwz " << variant.dwz;
}

class Dwz : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    compiler_ = find_tool({GetParam().compiler, "clang++-19", "clang++-16", "clang++-14"});
    if (std::string(GetParam().compiler) == "g++") compiler_ = find_tool({"g++"});
    if (compiler_.empty() || find_tool({"objcopy"}).empty()) GTEST_SKIP() << GetParam().compiler << " is not here";
    if (find_tool({"dwz"}).empty()) GTEST_SKIP() << "dwz is not here";
    directory_.write("shared.h", kShared);
    directory_.write("library.cc", kLibrary);
    directory_.write("first.cc", kFirst);
    directory_.write("second.cc", kSecond);
    for (const char* name : {"first", "second"}) {
      in_directory(fmt::format("{0} -std=c++20 -w {1} -Wl,--build-id library.cc {2}.cc -o {2} && cp {2} {2}.before",
                               compiler_, GetParam().flags, name));
    }
  }
  std::string file(const std::string& name) const { return directory_.file(name); }
  void in_directory(const std::string& command) const {
    ASSERT_TRUE(run_tool({"sh", "-c", fmt::format("cd '{}' && {}", directory_.path().string(), command)}));
  }
  void share() const {
    in_directory(fmt::format("dwz {} -m shared.debug first second", GetParam().dwz));
    ASSERT_TRUE(fs::exists(file("shared.debug")));
    ASSERT_TRUE(open_image(file("first"))->alternate_link().has_value());
  }
  void expect_unchanged(const CoreOptions& options = {}) const {
    for (const char* name : {"first", "second"}) {
      SCOPED_TRACE(name);
      const Read before(file(std::string(name) + ".before")), after(file(name), options);
      EXPECT_EQ(before.losses(), "");
      EXPECT_EQ(after.losses(), "");
      EXPECT_EQ(after.variables, before.variables);
      EXPECT_EQ(lines_without(before.types, after.types), "");
      EXPECT_EQ(lines_without(after.types, before.types), "");
      EXPECT_EQ(after.types.size(), before.types.size());
      EXPECT_GT(std::ranges::count(after.variables, '\n'), 8);  // the comparison above was not one of nothings
      EXPECT_GT(after.types.size(), 100u);
    }
  }
  std::string id() const { return open_image(file("shared.debug"))->alternate_id(); }

  TemporaryDirectory directory_;
  std::string compiler_;
};

TEST_P(Dwz, WithinOneFile) {
  in_directory(fmt::format("dwz {0} first && dwz {0} second", GetParam().dwz));
  ASSERT_LT(fs::file_size(file("first")), fs::file_size(file("first.before")));
  expect_unchanged();
}

TEST_P(Dwz, SharedFile) {
  share();
  expect_unchanged();
  const Read one(file("first"), {}, 1), many(file("first"), {}, 5);
  EXPECT_EQ(one.variables, many.variables);
  EXPECT_EQ(one.in_order, many.in_order);
  in_directory("objcopy --compress-debug-sections first && objcopy --compress-debug-sections shared.debug");
  expect_unchanged();
}

TEST_P(Dwz, SharedFileIsFoundElsewhere) {
  share();
  fs::create_directories(file("debug/.dwz"));
  fs::rename(file("shared.debug"), file("debug/.dwz/shared.debug"));
  expect_unchanged({.debug_dirs = {file("debug")}});
  fs::create_directories(file(".dwz"));
  fs::rename(file("debug/.dwz/shared.debug"), file(".dwz/shared.debug"));
  expect_unchanged();
  fs::create_directories(file("root/usr/lib/debug/.dwz"));
  fs::rename(file(".dwz/shared.debug"), file("root/usr/lib/debug/.dwz/shared.debug"));
  expect_unchanged({.sysroot = file("root")});
  // By its id, which debuginfod's clients name its folder after.
  const std::string id = open_image(file("first"))->alternate_link()->id;
  fs::create_directories(file("debug/.build-id/" + id.substr(0, 2)));
  const std::string by_id = file("debug/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug");
  fs::rename(file("root/usr/lib/debug/.dwz/shared.debug"), by_id);
  expect_unchanged({.debug_dirs = {file("debug")}});
  fs::create_directories(file("cache/" + id));
  fs::rename(by_id, file("cache/" + id + "/debuginfo"));
  ASSERT_EQ(setenv("DEBUGINFOD_CACHE_PATH", file("cache").c_str(), 1), 0);
  expect_unchanged();
  ASSERT_EQ(unsetenv("DEBUGINFOD_CACHE_PATH"), 0);
}

TEST_P(Dwz, MissingSharedFileIsNamed) {
  share();
  fs::remove(file("shared.debug"));
  const Read read(file("first")), before(file("first.before"));
  EXPECT_EQ(read.diagnostics.count("dwz_debug_info"), 1u) << read.losses();
  EXPECT_NE(read.losses().find("shared.debug"), std::string::npos) << read.losses();
  EXPECT_EQ(read.diagnostics.all().size(), 1u) << read.losses();
  EXPECT_GT(std::ranges::count(read.variables, '\n'), 4);  // those whose name is in the file or among the symbols
  EXPECT_LT(read.types.size(), before.types.size());
}

TEST_P(Dwz, SharedFileOfAnotherBuildIsRefused) {
  share();
  const std::string right = id();
  fs::create_directories(file("right/.dwz"));
  fs::rename(file("shared.debug"), file("right/.dwz/shared.debug"));
  in_directory(fmt::format("cp first.before a && cp first.before b && dwz {} -m shared.debug a b", GetParam().dwz));
  ASSERT_NE(id(), right);
  const Read read(file("first"));
  EXPECT_EQ(read.diagnostics.count("debug_file_mismatch"), 1u) << read.losses();
  EXPECT_NE(read.losses().find(right), std::string::npos) << read.losses();
  // The right one further down the list of places is taken.
  fs::create_directories(file("wrong/.dwz"));
  fs::rename(file("shared.debug"), file("wrong/.dwz/shared.debug"));
  const Read found(file("first"), {.debug_dirs = {file("wrong"), file("right")}}), before(file("first.before"));
  EXPECT_EQ(found.diagnostics.count("debug_file_mismatch"), 1u);
  EXPECT_EQ(found.variables, before.variables);
  EXPECT_EQ(lines_without(before.types, found.types), "");
}

// Bytes are overwritten at random, in the shared file and in the one that refers to it: nothing crashes or hangs.
TEST_P(Dwz, DamagedFilesAreHandled) {
  share();
  std::mt19937 random(13);
  size_t changed = 0;
  const Read whole(file("first"));
  for (const char* name : {"shared.debug", "first"}) {
    std::ifstream in(file(name), std::ios::binary);
    const std::string good((std::istreambuf_iterator<char>(in)), {});
    std::vector<ElfSection> targets;
    auto image = open_image(file(name));
    for (const ElfSection& section : image->sections()) {
      const bool is_unit = section.name == ".debug_info" || section.name == ".debug_abbrev";
      if (is_unit || section.name == ".debug_sup" || section.name == ".gnu_debugaltlink") targets.push_back(section);
    }
    ASSERT_GE(targets.size(), 2u);
    for (int round = 0; round < 40; ++round) {
      std::string damaged = good;
      for (int flip = 0; flip < 1 + round % 20; ++flip) {
        const ElfSection& section = targets[random() % targets.size()];
        damaged[section.offset + random() % section.size_bytes] = static_cast<char>(random());
      }
      directory_.write(name, damaged);
      const Read read(file("first"), {}, 1);
      if (read.types != whole.types || !read.losses().empty()) ++changed;
    }
    for (size_t size : {size_t{0}, size_t{100}, good.size() / 2, good.size() - 100}) {
      directory_.write(name, good.substr(0, size));
      if (std::string(name) == "first") continue;  // no ELF file to start from
      EXPECT_NE(Read(file("first")).losses(), "") << size;
    }
    directory_.write(name, good);
  }
  EXPECT_GT(changed, 40u);
}

INSTANTIATE_TEST_SUITE_P(BuiltBy, Dwz,
                         testing::Values(Variant{"gcc4", "g++", "-gdwarf-4", ""},
                                         Variant{"gcc5", "g++", "-gdwarf-5", ""},
                                         Variant{"gcc5_O2", "g++", "-gdwarf-5 -O2", ""},
                                         Variant{"gcc5_standard", "g++", "-gdwarf-5", "--dwarf-5"},
                                         Variant{"gcc4_types", "g++", "-gdwarf-4 -fdebug-types-section", ""},
                                         Variant{"clang4", "clang++", "-gdwarf-4", ""}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace heapwalk
