// A stripped program says what the whole one said when its debug info lies in the folder where debuginfod's clients keep
// what they downloaded, wherever the environment puts that.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "dump/debug_files.h"
#include "tests/dwarf/read_text.h"
#include "tests/support/compiler.h"

namespace heapwalk {
namespace {

namespace fs = std::filesystem;

using test::module_of;
using test::open_image;
using test::Read;

class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value.empty() ? ::unsetenv(name) : ::setenv(name, value.c_str(), 1);
  }
  ~Environment() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(DebuginfodCache, TypesComeFromThere) {
  HEAPWALK_NEEDS_COMPILER();
  const test::TemporaryDirectory directory;
  const std::string id = "0123456789abcdef0123456789abcdef01234567";
  const std::string program = test::compile_c(
      directory, "program", "struct Node { struct Node* next; int value; } node; int main(void) { return node.value; }",
      {"-g", "-Wl,--build-id=0x" + id});
  ASSERT_FALSE(program.empty());
  const Read whole(program);
  ASSERT_NE(whole.variables.find("node: Node, 16 bytes"), std::string::npos) << whole.variables;
  const std::string stripped = directory.file("stripped");
  ASSERT_TRUE(test::run_tool({"strip", program, "-o", stripped}));

  const std::string home = directory.file("home"), cache = directory.file("cache"), chosen = directory.file("chosen");
  for (const std::string& folder : {chosen, cache + "/debuginfod_client", home + "/.cache/debuginfod_client"}) {
    SCOPED_TRACE(folder);
    const Environment at_home("HOME", home), in_cache("XDG_CACHE_HOME", folder.starts_with(cache) ? cache : ""),
        at_path("DEBUGINFOD_CACHE_PATH", folder == chosen ? chosen : "");
    Diagnostics diagnostics;
    auto image = open_image(stripped);
    ASSERT_EQ(find_debug_file(id, image.get(), {}, diagnostics), nullptr);
    fs::create_directories(folder + "/" + id);
    ASSERT_TRUE(test::run_tool({"objcopy", "--only-keep-debug", program, folder + "/" + id + "/debuginfo"}));
    auto debug = find_debug_file(id, image.get(), {}, diagnostics);
    ASSERT_NE(debug, nullptr);
    EXPECT_TRUE(debug->path().starts_with(folder));
    const Read read(module_of(image, debug));
    EXPECT_EQ(read.losses(), "");
    EXPECT_EQ(read.variables, whole.variables);
    EXPECT_EQ(read.types, whole.types);
    EXPECT_TRUE(diagnostics.all().empty());
  }
}

}  // namespace
}  // namespace heapwalk
