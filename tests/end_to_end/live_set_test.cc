// The decoded live set equals the recorded one, address by address and size by size, in every state of the heap that
// testdata/programs/alloc_truth.c can produce, with and without libc's symbols.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/live_set.h"
#include "tests/support/run_program.h"

namespace heapwalk {
namespace {

std::string program(const std::string& name) {
  return std::string(HEAPWALK_PROGRAMS_DIR) + "/" + name;
}

struct Case {
  std::string mode;
  std::string binary = "alloc_truth";
  std::string tunables = {};
  bool use_gcore = false;
  bool through_loader = false;

  bool is_static() const { return binary.find("static") != std::string::npos; }
  RunOptions run_options() const {
    RunOptions run;
    run.arguments = {program(binary), mode};
    if (through_loader) run.arguments.insert(run.arguments.begin(), "/lib64/ld-linux-x86-64.so.2");
    if (use_gcore) run.arguments.push_back("wait");
    run.use_gcore = use_gcore;
    if (!is_static()) run.environment.emplace_back("LD_PRELOAD", program("libtruth.so"));
    if (!tunables.empty()) run.environment.emplace_back("GLIBC_TUNABLES", tunables);
    return run;
  }
};

std::ostream& operator<<(std::ostream& out, const Case& test_case) {
  return out << test_case.binary << " " << test_case.mode << " " << test_case.tunables;
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  std::string name = info.param.mode;
  if (info.param.binary != "alloc_truth") name += info.param.binary.substr(std::string("alloc_truth").size());
  if (!info.param.tunables.empty()) name += "_hugetlb" + info.param.tunables.substr(info.param.tunables.size() - 1);
  if (info.param.use_gcore) name += "_gcore";
  if (info.param.through_loader) name += "_through_loader";
  return name;
}

void expect_exact(const CoreDump& dump, const GlibcOptions& options) {
  SCOPED_TRACE(options.use_symbols ? "with symbols" : "without symbols");
  auto truth = read_truth(dump);
  ASSERT_TRUE(truth.has_value()) << truth.error().message;
  EXPECT_EQ(truth->in_flight, 0u);
  DecodedHeap heap = decode_glibc(dump, options);
  ASSERT_NE(heap.decoder, nullptr);
  LiveSetDifference difference = compare(*truth, heap);
  EXPECT_TRUE(difference.exact()) << difference.text();
  EXPECT_EQ(accounting_violation(heap), "");
  EXPECT_EQ(heap.unexplained_bytes(), 0u);
  EXPECT_TRUE(heap.objects.check());
  for (const Diagnostic& diagnostic : heap.diagnostics.all())
    ADD_FAILURE() << diagnostic.code << ": " << diagnostic.text;
}

class LiveSetTest : public ::testing::TestWithParam<Case> {};

TEST_P(LiveSetTest, equals_what_the_program_recorded) {
  ProgramRun run(GetParam().run_options());
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_FALSE(run.core_path().empty()) << run.error();
  auto dump = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(dump.has_value()) << dump.error().message;
  expect_exact(*dump, {});
  expect_exact(*dump, {.use_symbols = false});
}

INSTANTIATE_TEST_SUITE_P(Modes, LiveSetTest,
                         ::testing::Values(Case{"single"}, Case{"threads"}, Case{"caches"}, Case{"big"}, Case{"churn"},
                                           Case{"fork"}, Case{"foreign_sbrk"}, Case{"blocked_brk"},
                                           Case{"foreign_and_blocked"}, Case{"perturb"}, Case{"tiny_mmap"},
                                           Case{"memalign"}, Case{"heaps"}, Case{"dead_threads"}, Case{"files"},
                                           Case{"one"}),
                         case_name);

INSTANTIATE_TEST_SUITE_P(
    Binaries, LiveSetTest,
    ::testing::Values(Case{"threads", "alloc_truth_stripped"}, Case{"single", "alloc_truth_static"},
                      Case{"threads", "alloc_truth_static"}, Case{"threads", "alloc_truth_static_pie"},
                      Case{"threads", "alloc_truth_static_stripped"}, Case{"caches", "alloc_truth_static_stripped"},
                      Case{"blocked_brk", "alloc_truth_static_stripped"}, Case{"foreign_sbrk", "alloc_truth_static"},
                      Case{"memalign", "alloc_truth_static_pie"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(Surroundings, LiveSetTest,
                         ::testing::Values(Case{.mode = "threads", .tunables = "glibc.malloc.hugetlb=1"},
                                           Case{.mode = "threads", .tunables = "glibc.malloc.hugetlb=2"},
                                           Case{.mode = "heaps", .tunables = "glibc.malloc.hugetlb=2"},
                                           Case{.mode = "threads", .use_gcore = true},
                                           Case{.mode = "big", .use_gcore = true},
                                           Case{.mode = "threads", .binary = "alloc_truth_static", .use_gcore = true},
                                           Case{.mode = "threads", .through_loader = true}),
                         case_name);

}  // namespace
}  // namespace heapwalk
