// What comes from the cache is what was read, to the id; what does not fit is read again; nothing that happens to a file
// of the cache is noticed by anybody.
#include "dwarf/type_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "tests/dwarf/read_text.h"
#include "tests/support/compiler.h"

namespace heapwalk {
namespace {

namespace fs = std::filesystem;

using test::compile_cxx;
using test::lines_without;
using test::module_of;
using test::open_image;
using test::Read;
using test::run_tool;

constexpr const char* kSource = R"(
#include <map>
#include <memory>
#include <string>
#include <vector>
namespace ns {
struct Base { virtual ~Base() = default; long tag = 1; };
enum class Color : short { red, green };
struct Node : Base { Node* next; std::unique_ptr<Node> owned; Color color : 4; struct { int a, b; } pair; union { int i; float f; }; };
struct Declared;
struct Holder { Declared* declared; int (*callback)(int); int matrix[3][5]; Node nodes[]; };
std::map<std::string, std::vector<Node*>> table;
Holder* holder;
}
thread_local ns::Node* current;
int main() { static std::string text; return static_cast<int>(text.size() + ns::table.size()) + (ns::holder == nullptr) + (current == nullptr); }
)";

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Modules read one after the other, as a process has them.
Read read_cached(std::initializer_list<std::string> programs, const CoreOptions& options) {
  Read read;
  TypeTableBuilder types;
  for (const std::string& program : programs) {
    auto image = open_image(program);
    if (image == nullptr) continue;
    Module module = module_of(image);
    module.build_id = image->build_id();
    read.say(types.table(), read_debug_info_cached(module, 2, types, read.diagnostics, options));
  }
  return read;
}

Variable variable(std::string name, TypeId type) {
  Variable result;
  result.name = std::move(name);
  result.type = type;
  return result;
}

void expect_same(const Read& a, const Read& b) {
  EXPECT_EQ(a.variables, b.variables);
  EXPECT_EQ(a.in_order, b.in_order);
  EXPECT_EQ(a.losses(), b.losses());
}

class Cache : public testing::Test {
 protected:
  void SetUp() override {
    HEAPWALK_NEEDS_COMPILER();
    program_ = compile_cxx(directory_, "program", kSource, {"-g", "-Wl,--build-id=0x0123456789abcdef"});
    ASSERT_FALSE(program_.empty());
    whole_ = read_cached({program_}, without_);
    ASSERT_GT(whole_.types.size(), 100u);
    ASSERT_EQ(whole_.losses(), "");
  }
  Read read() const { return read_cached({program_}, with_); }

  test::TemporaryDirectory directory_;
  std::string program_;
  const CoreOptions without_{.cached_debug_bytes = 0};
  const CoreOptions with_{.cache_dir = directory_.file("a/cache"), .cached_debug_bytes = 0};
  const std::string kept_ = directory_.file("a/cache/0123456789abcdef.types");
  Read whole_;
};

TEST_F(Cache, SaysWhatWasRead) {
  const Read cold = read();
  ASSERT_TRUE(fs::exists(kept_));
  expect_same(cold, whole_);
  expect_same(read(), whole_);
  // All is there that read_debug_info() adds by itself.
  const Read plain(program_);
  EXPECT_EQ(plain.variables, whole_.variables);
  EXPECT_EQ(plain.types, whole_.types);
}

// What only Rust has: variants with their numbers, pointers that lead to one.
TEST_F(Cache, SaysWhatWasReadOfRust) {
  if (run_command({"rustc", "--version"}).status != 0) GTEST_SKIP() << "no rustc on this machine";
  directory_.write("enums.rs", R"(
pub enum Shape { Circle(Box<u64>), Square { side: u32 }, Far(i64) }
pub static mut SHAPE: Option<Shape> = None;
fn main() { unsafe { SHAPE = Some(Shape::Far(std::env::args().count() as i64)); } }
)");
  const std::string program = directory_.file("enums");
  ASSERT_TRUE(run_tool(
      {"rustc", "-g", "-Clink-arg=-Wl,--build-id=0x0123456789abcdee", directory_.file("enums.rs"), "-o", program}));
  const Read plain = read_cached({program}, without_);
  EXPECT_NE(plain.in_order.find("Circle@0 variant 2 0x"), std::string::npos);
  expect_same(read_cached({program}, with_), plain);
  ASSERT_TRUE(fs::exists(directory_.file("a/cache/0123456789abcdee.types")));
  expect_same(read_cached({program}, with_), plain);
  const Read alone(program);
  EXPECT_EQ(lines_without(alone.types, plain.types), "");
}

TEST_F(Cache, HoldsWhatTheFileNoLongerSays) {
  read();
  const auto time = fs::last_write_time(program_);
  auto image = open_image(program_);
  const ElfSection section = *image->find_section(".debug_info");
  std::fstream file(program_, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(section.offset));
  file << std::string(section.size_bytes, '\xff');
  file.close();
  ASSERT_NE(read_cached({program_}, without_).in_order, whole_.in_order);
  fs::last_write_time(program_, time);
  expect_same(read(), whole_);  // so it was not looked at
  fs::last_write_time(program_, time + std::chrono::seconds(1));
  EXPECT_NE(read().in_order, whole_.in_order);
}

TEST_F(Cache, SameIdsBehindOtherModules) {
  const std::string other = compile_cxx(
      directory_, "other",
      "#include <string>\n#include <vector>\nnamespace ns { struct Declared { int x; } d; struct Base; Base* b; "
      "enum class Color : short { red, green } color; }\nstd::vector<std::string> v; int main() {}",
      {"-g", "-Wl,--build-id=0x1123456789abcdef"});
  for (const auto& order : {std::initializer_list<std::string>{program_, other}, {other, program_}}) {
    const Read plain = read_cached(order, without_);
    expect_same(read_cached(order, with_), plain);
    expect_same(read_cached(order, with_), plain);
  }
  EXPECT_TRUE(fs::exists(directory_.file("a/cache/1123456789abcdef.types")));
}

TEST_F(Cache, SmallModulesAreNotKept) {
  const CoreOptions usual{.cache_dir = with_.cache_dir};
  EXPECT_EQ(read_cached({program_}, usual).types, whole_.types);
  EXPECT_FALSE(fs::exists(kept_));
}

TEST_F(Cache, DamagedFilesAreReplaced) {
  read();
  const std::string good = content_of(kept_);
  std::mt19937 random(17);
  for (int round = 0; round < 60; ++round) {
    std::string damaged = good;
    if (round % 3 == 0) {
      damaged.resize(random() % good.size());
    } else {
      for (int i = 0; i <= round % 7; ++i) damaged[random() % damaged.size()] ^= static_cast<char>(1 + random() % 255);
    }
    std::ofstream(kept_, std::ios::binary) << damaged;
    expect_same(read(), whole_);
    ASSERT_EQ(content_of(kept_), good) << round;
  }
  fs::remove(kept_);
  fs::create_directory(kept_);
  expect_same(read(), whole_);
}

// The checksum is right and the content is not: everything that points somewhere is checked.
TEST(TypeFile, LiesAreRefused) {
  const Type record{.kind = TypeKind::record, .size_bytes = 8, .name = "R", .first_field = 0, .field_count = 1};
  const Type pointer{.kind = TypeKind::pointer, .size_bytes = 8, .target = TypeId{0}};
  const Field field{.name = "f", .type = TypeId{1}};
  auto is_read = [](std::vector<Type> types, std::vector<Field> fields, std::vector<TypeId> arguments,
                    std::vector<Variable> variables) {
    const std::string file = write_type_file("key", {types, fields, arguments}, variables);
    EXPECT_EQ(read_type_file_key(std::as_bytes(std::span(file))), "key");
    return read_type_file(std::as_bytes(std::span(file))).has_value();
  };
  auto with = [](Type type, auto change) {
    change(type);
    return type;
  };
  EXPECT_TRUE(is_read({record, pointer}, {field}, {kNoType, TypeId{1}}, {variable("v", TypeId{1})}));
  EXPECT_FALSE(is_read({record, with(pointer, [](Type& t) { t.target = TypeId{1}; })}, {field}, {}, {}));
  EXPECT_FALSE(is_read({record, with(pointer, [](Type& t) { t.target = TypeId{7}; })}, {field}, {}, {}));
  EXPECT_FALSE(is_read({with(record, [](Type& t) { t.field_count = 2; }), pointer}, {field}, {}, {}));
  EXPECT_FALSE(is_read({with(record, [](Type& t) { t.first_field = UINT32_MAX; }), pointer}, {field}, {}, {}));
  EXPECT_FALSE(is_read({with(record, [](Type& t) { t.argument_count = 1; }), pointer}, {field}, {}, {}));
  EXPECT_FALSE(is_read({with(record, [](Type& t) { t.kind = static_cast<TypeKind>(99); }), pointer}, {field}, {}, {}));
  EXPECT_FALSE(is_read({record, pointer}, {{.name = "f", .type = TypeId{2}}}, {}, {}));
  EXPECT_FALSE(is_read({record, pointer}, {field}, {TypeId{2}}, {}));
  EXPECT_FALSE(is_read({record, pointer}, {field}, {}, {variable("v", TypeId{2})}));
}

TEST_F(Cache, LossIsNotKept) {
  const std::string split = directory_.file("split");
  directory_.write("split.cc", kSource);
  const std::string make = "cd '" + directory_.path().string() +
                           "' && g++ -g -gsplit-dwarf -c split.cc -o split.o && "
                           "g++ split.o -Wl,--build-id=0x2123456789abcdef -o split";
  ASSERT_TRUE(run_tool({"sh", "-c", make}));
  const Read whole_split = read_cached({split}, without_);
  ASSERT_EQ(whole_split.losses(), "");
  const std::string dwo = directory_.file("split.dwo"), away = directory_.file("away");
  fs::rename(dwo, away);
  EXPECT_EQ(read_cached({split}, with_).diagnostics.count("split_debug_info"), 1u);
  EXPECT_FALSE(fs::exists(directory_.file("a/cache/2123456789abcdef.types")));
  fs::rename(away, dwo);
  expect_same(read_cached({split}, with_), whole_split);
  EXPECT_TRUE(fs::exists(directory_.file("a/cache/2123456789abcdef.types")));
  expect_same(read_cached({split}, with_), whole_split);
  fs::rename(dwo, away);  // what is kept says more than the files do now
  EXPECT_EQ(read_cached({split}, with_).diagnostics.count("split_debug_info"), 1u);
}

TEST_F(Cache, AnyNumberMayReadAndWrite) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 8; ++round) {
        if ((round + t) % 3 == 0) fs::remove(kept_);
        if (read().in_order != whole_.in_order) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(with_.cache_dir), fs::directory_iterator()), 1);
}

TEST_F(Cache, PlacesThatCannotBeWrittenAreNoLoss) {
  directory_.write("file", "no directory");
  for (const std::string& place : {directory_.file("file"), directory_.file("file/below"), std::string("/proc/none")}) {
    expect_same(read_cached({program_}, {.cache_dir = place, .cached_debug_bytes = 0}), whole_);
  }
}

TEST_F(Cache, OldestGoFirst) {
  ModuleTypes types;
  for (int i = 0; i < 100; ++i) types.variables.push_back(variable("variable " + std::to_string(i), kNoType));
  const std::string place = directory_.file("small");
  TypeCache(place).store("aaaa0000", "key", {}, types);
  const uint64_t each = fs::file_size(place + "/aaaa0000.types");
  const TypeCache cache(place, 3 * each + each / 2);
  auto age = [&](const char* id, int hours) {
    fs::last_write_time(place + "/" + id + ".types", fs::file_time_type::clock::now() - std::chrono::hours(hours));
  };
  cache.store("bbbb0000", "key", {}, types);
  cache.store("cccc0000", "key", {}, types);
  age("aaaa0000", 30);
  age("bbbb0000", 20);
  age("cccc0000", 10);
  ASSERT_TRUE(cache.load("aaaa0000", "key"));  // used now
  EXPECT_FALSE(cache.load("aaaa0000", "another key"));
  std::ofstream(place + "/dddd0000.types.abcdef") << "left by a process that died";
  fs::last_write_time(place + "/dddd0000.types.abcdef", fs::file_time_type::clock::now() - std::chrono::hours(2));
  std::ofstream(place + "/notes.txt") << "somebody else's";
  cache.store("dddd0000", "key", {}, types);
  EXPECT_TRUE(cache.load("aaaa0000", "key"));
  EXPECT_FALSE(cache.load("bbbb0000", "key"));
  EXPECT_TRUE(cache.load("cccc0000", "key"));
  EXPECT_TRUE(cache.load("dddd0000", "key"));
  EXPECT_FALSE(fs::exists(place + "/dddd0000.types.abcdef"));
  EXPECT_TRUE(fs::exists(place + "/notes.txt"));
  TypeCache(place, each / 2).store("eeee0000", "key", {}, types);  // larger than all that may be kept
  EXPECT_FALSE(fs::exists(place + "/eeee0000.types"));
}

}  // namespace
}  // namespace heapwalk
