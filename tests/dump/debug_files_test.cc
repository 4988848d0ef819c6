#include "dump/debug_files.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/support/compiler.h"

namespace heapwalk {
namespace {

namespace fs = std::filesystem;
using test::compile_c;
using test::run_tool;
using test::TemporaryDirectory;

constexpr const char* kProgram = "static int hidden; int main(void) { return hidden++; }";

// A program without debug info, and its debug file, not linked to each other yet.
struct SplitProgram {
  TemporaryDirectory directory;
  std::string program;
  std::string debug;

  explicit SplitProgram(const std::string& build_id = "-Wl,--build-id=0xabcdef0123") {
    program = compile_c(directory, "program", kProgram, {"-g", build_id});
    debug = directory.file("separate");
    run_tool({"objcopy", "--only-keep-debug", program, debug});
    run_tool({"strip", program});
  }
  std::shared_ptr<const ElfImage> open() const {
    auto image = ElfImage::open(program);
    EXPECT_TRUE(image);
    return image ? *image : nullptr;
  }
  void move_debug_to(const std::string& path) {
    fs::create_directories(fs::path(path).parent_path());
    fs::rename(debug, path);
    debug = path;
  }
};

TEST(DebugFiles, BuildIdPaths) {
  CoreOptions options{.sysroot = "/root", .debug_dirs = {"/mine"}};
  auto paths = build_id_paths("abcdef", FileKind::debug, options);
  ASSERT_GE(paths.size(), 3u);
  EXPECT_EQ(paths[0], "/mine/.build-id/ab/cdef.debug");
  EXPECT_EQ(paths[1], "/root/usr/lib/debug/.build-id/ab/cdef.debug");
  EXPECT_EQ(paths[2], "/usr/lib/debug/.build-id/ab/cdef.debug");
  EXPECT_EQ(build_id_paths("abcdef", FileKind::executable, options)[0], "/mine/.build-id/ab/cdef");
  EXPECT_TRUE(build_id_paths("", FileKind::debug, options).empty());
  EXPECT_TRUE(build_id_paths("../../etc", FileKind::debug, options).empty());
}

TEST(DebugFiles, FoundByBuildId) {
  HEAPWALK_NEEDS_COMPILER();
  SplitProgram split;
  split.move_debug_to(split.directory.file("store/.build-id/ab/cdef0123.debug"));
  CoreOptions options{.debug_dirs = {split.directory.file("nothing"), split.directory.file("store")}};
  Diagnostics diagnostics;
  auto found = find_debug_file("abcdef0123", split.open().get(), options, diagnostics);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->path(), split.debug);
  EXPECT_TRUE(found->has_debug_info());
  EXPECT_NE(find_debug_file("abcdef0123", nullptr, options, diagnostics), nullptr);
  EXPECT_TRUE(diagnostics.all().empty());
}

TEST(DebugFiles, FileOfAnotherBuildIsNotTaken) {
  HEAPWALK_NEEDS_COMPILER();
  SplitProgram split;
  split.move_debug_to(split.directory.file("store/.build-id/ab/cdef9999.debug"));
  CoreOptions options{.debug_dirs = {split.directory.file("store")}};
  Diagnostics diagnostics;
  EXPECT_EQ(find_debug_file("abcdef9999", nullptr, options, diagnostics), nullptr);
  EXPECT_EQ(diagnostics.count("debug_file_mismatch"), 1u);
}

TEST(DebugFiles, FoundInTheDebuginfodCache) {
  HEAPWALK_NEEDS_COMPILER();
  SplitProgram split;
  split.move_debug_to(split.directory.file("cache/abcdef0123/debuginfo"));
  ASSERT_EQ(setenv("DEBUGINFOD_CACHE_PATH", split.directory.file("cache").c_str(), 1), 0);
  Diagnostics diagnostics;
  auto found = find_debug_file("abcdef0123", nullptr, {}, diagnostics);
  unsetenv("DEBUGINFOD_CACHE_PATH");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->path(), split.debug);
}

// Where gdb looks for NAME: beside the program, in .debug/, and below each debug directory under the program's folder.
TEST(DebugFiles, FoundByDebugLink) {
  HEAPWALK_NEEDS_COMPILER();
  for (std::string place : {"program.debug", ".debug/program.debug", "store", "flat/program.debug"}) {
    SplitProgram split("-Wl,--build-id=none");
    std::string named = split.directory.file("link/program.debug");
    fs::create_directories(split.directory.file("link"));
    fs::copy_file(split.debug, named);
    ASSERT_TRUE(run_tool({"objcopy", "--add-gnu-debuglink=" + named, split.program}));
    if (place == "store") place += fs::canonical(split.directory.path()).string() + "/program.debug";
    split.move_debug_to(split.directory.file(place));
    CoreOptions options{.debug_dirs = {split.directory.file("store"), split.directory.file("flat")}};
    Diagnostics diagnostics;
    auto found = find_debug_file("", split.open().get(), options, diagnostics);
    ASSERT_NE(found, nullptr) << place;
    EXPECT_TRUE(fs::equivalent(found->path(), split.debug)) << found->path();
  }
}

TEST(DebugFiles, DebugLinkWithTheWrongCrcIsNotTaken) {
  HEAPWALK_NEEDS_COMPILER();
  SplitProgram split("-Wl,--build-id=none");
  split.move_debug_to(split.directory.file("program.debug"));
  ASSERT_TRUE(run_tool({"objcopy", "--add-gnu-debuglink=" + split.debug, split.program}));
  ASSERT_TRUE(run_tool({"objcopy", "--add-section", ".extra=" + split.program, split.debug}));
  Diagnostics diagnostics;
  EXPECT_EQ(find_debug_file("", split.open().get(), {}, diagnostics), nullptr);
  EXPECT_EQ(diagnostics.count("debug_file_mismatch"), 1u);
  ASSERT_FALSE(diagnostics.all().empty());
  EXPECT_NE(diagnostics.all()[0].text.find("CRC 0x"), std::string::npos);
}

TEST(DebugFiles, DamagedFileIsADiagnostic) {
  TemporaryDirectory directory;
  fs::create_directories(directory.file(".build-id/ab"));
  directory.write(".build-id/ab/cd.debug", "not an ELF file at all");
  Diagnostics diagnostics;
  EXPECT_EQ(find_debug_file("abcd", nullptr, {.debug_dirs = {directory.path().string()}}, diagnostics), nullptr);
  EXPECT_EQ(diagnostics.count("unusable_debug_file"), 1u);
}

}  // namespace
}  // namespace heapwalk
