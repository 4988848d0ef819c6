// The live set is exact under other versions of glibc: each from its Debian suite, unpacked into a private root and
// started through its own ld.so, with the program linked against it.
//
//     bullseye 2.31  plain links, heap_info of 0x20 bytes, libpthread apart
//     trixie   2.41  safe-linking
//     sid      2.43  no fastbins, tcache counts down, mmapped chunks with 8 more usable bytes
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/live_set.h"
#include "tests/support/run_program.h"

namespace heapwalk {
namespace {

namespace fs = std::filesystem;

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

struct Root {
  std::string skip_reason;
  std::string loader;     // ld.so
  std::string libraries;  // the directory of libc.so.6
  std::string program;    // alloc_truth, linked against it
};

std::string find_file(const fs::path& below, const std::string& prefix) {
  for (const auto& entry : fs::recursive_directory_iterator(below, fs::directory_options::skip_permission_denied)) {
    if (entry.path().filename().string().starts_with(prefix) && entry.is_regular_file()) return entry.path().string();
    if (entry.path().filename() == prefix) return entry.path().string();
  }
  return "";
}

// Fetches once per build directory.
Root make_root(const std::string& suite) {
  Root root;
  std::string sources = HEAPWALK_PROGRAMS_DIR;
  std::string script = std::string(HEAPWALK_SOURCE_DIR) + "/testdata/fetch_glibc.sh";
  CommandResult fetched = run_command({"sh", script, sources + "/glibc", suite});
  if (fetched.status != 0) {
    root.skip_reason = trimmed(fetched.output);
    return root;
  }
  std::string directory = trimmed(fetched.output);
  std::string libc = find_file(directory, "libc.so.6");
  root.libraries = fs::path(libc).parent_path().string();
  root.loader = find_file(root.libraries, "ld-linux");
  root.program = sources + "/alloc_truth_" + suite;
  std::string source = sources + "/alloc_truth.c";
  std::error_code missing;
  if (fs::last_write_time(root.program, missing) > fs::last_write_time(source) && !missing) return root;
  std::string fresh = root.program + "." + std::to_string(getpid());  // several tests may be at it
  CommandResult linked =
      run_command({"cc", "-std=c11", "-O1", "-g", source, "-o", fresh, "-nodefaultlibs",
                   root.libraries + "/libpthread.so.0", libc, root.loader, "-lgcc", "-Wl,--allow-shlib-undefined"});
  if (linked.status != 0)
    root.skip_reason = "no program could be linked against it: " + trimmed(linked.output);
  else
    fs::rename(fresh, root.program);
  return root;
}

struct Case {
  std::string suite;
  std::string mode;
  std::string version;  // what the decoder has to make of it; empty where not all features show
  std::string tunables = {};
};

std::ostream& operator<<(std::ostream& out, const Case& test_case) {
  return out << test_case.suite << " " << test_case.mode;
}

class GlibcVersionsTest : public ::testing::TestWithParam<Case> {};

TEST_P(GlibcVersionsTest, live_set_is_exact) {
  const Case& test_case = GetParam();
  Root root = make_root(test_case.suite);
  if (!root.skip_reason.empty()) GTEST_SKIP() << root.skip_reason;
  RunOptions options;
  options.arguments = {root.loader, "--library-path", root.libraries, root.program, test_case.mode};
  options.environment = {{"LD_PRELOAD", std::string(HEAPWALK_PROGRAMS_DIR) + "/libtruth.so"}};
  if (!test_case.tunables.empty()) options.environment.emplace_back("GLIBC_TUNABLES", test_case.tunables);
  ProgramRun run(options);
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_FALSE(run.core_path().empty()) << run.error();
  auto dump = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(dump.has_value()) << dump.error().message;
  auto truth = read_truth(*dump);
  ASSERT_TRUE(truth.has_value()) << truth.error().message;
  DecodedHeap heap = decode_glibc(*dump);
  ASSERT_NE(heap.decoder, nullptr);
  LiveSetDifference difference = compare(*truth, heap);
  EXPECT_TRUE(difference.exact()) << difference.text();
  EXPECT_EQ(accounting_violation(heap), "");
  EXPECT_EQ(heap.unexplained_bytes(), 0u);
  EXPECT_TRUE(heap.decoder->facts().version.starts_with(test_case.version)) << heap.decoder->facts().version;
  for (const Diagnostic& diagnostic : heap.diagnostics.all())
    ADD_FAILURE() << diagnostic.code << ": " << diagnostic.text;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (auto [suite, version] :
       {std::pair{"bullseye", "2.30–2.31"}, {"trixie", "2.35–2.41"}, {"sid", "2.43 or newer"}}) {
    cases.push_back({suite, "threads", version});
    for (const char* mode :
         {"caches", "big", "memalign", "tiny_mmap", "blocked_brk", "foreign_sbrk", "heaps", "fork"}) {
      cases.push_back({suite, mode, ""});
    }
  }
  for (const char* mode : {"single", "threads", "big"}) {  // thread caches for large sizes, mmapped ones too
    cases.push_back({"sid", mode, "", "glibc.malloc.tcache_max=2000000"});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Suites, GlibcVersionsTest, ::testing::ValuesIn(all_cases()), [](const auto& test) {
  return test.param.suite + "_" + test.param.mode + (test.param.tunables.empty() ? "" : "_large_tcache");
});

}  // namespace
}  // namespace heapwalk
