// Programs that nobody wrote for this test: CPython on malloc, and gdb with a program's debug info loaded.
//
// Each runs twice. Under the recorder (libtruth.so) its decoded live set must be the recorded one, address by address.
// Without it, whose table of pointers would make everything reachable, nearly all of the heap must be reachable: what these
// programs leak on purpose at exit is little, and before exit nothing.
#include <gtest/gtest.h>

#include <filesystem>

#include "heapwalk/analysis.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/live_set.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

struct Program {
  std::string name;
  std::vector<std::string> command;
  double reachable_share;  // of the used bytes, at least
};

// 20,000 objects with a dict each, strings, a list that holds them and a cycle; then the process aborts.
constexpr const char* kPython = R"(
import os
class Session:
    def __init__(self, i):
        self.name = 'session-%d' % i
        self.history = [i] * 5
        self.me = self
cache = {i: Session(i) for i in range(20000)}
os.abort()
)";

std::vector<Program> programs() {
  return {
      {"cpython", {"/usr/bin/python3", "-c", kPython}, 0.99},
      // gdb's handler for SIGABRT runs on an alternate stack that gdb allocated with malloc.
      {"gdb",
       {"/usr/bin/gdb", "-nx", "-batch", "-ex", "file " HEAPWALK_PROGRAMS_DIR "/demo_server", "-ex",
        "info functions serve", "-ex", "shell kill -ABRT $PPID"},
       0.95},
  };
}

class RealProgram : public ::testing::TestWithParam<Program> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(GetParam().command[0])) GTEST_SKIP() << GetParam().command[0] << " is not installed";
  }
};

TEST_P(RealProgram, LiveSetEqualsTheRecordedOne) {
  const ProgramRun run({.arguments = GetParam().command,
                        .environment = {{"PYTHONMALLOC", "malloc"},
                                        {"LD_PRELOAD", std::string(HEAPWALK_PROGRAMS_DIR) + "/libtruth.so"}}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  auto dump = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(dump.has_value()) << dump.error().message;
  auto truth = read_truth(*dump);
  ASSERT_TRUE(truth.has_value()) << truth.error().message;
  EXPECT_GT(truth->live.size(), 10'000U);
  const DecodedHeap heap = decode_glibc(*dump);
  ASSERT_NE(heap.decoder, nullptr);
  const LiveSetDifference difference = compare(*truth, heap);
  EXPECT_TRUE(difference.exact()) << difference.text();
  EXPECT_EQ(accounting_violation(heap), "");
  EXPECT_EQ(heap.unexplained_bytes(), 0U);
}

TEST_P(RealProgram, NearlyEverythingIsReachable) {
  const ProgramRun run({.arguments = GetParam().command, .environment = {{"PYTHONMALLOC", "malloc"}}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const CommandOutput result = run_heapwalk({"report", run.core_path(), "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const Json report = parse_json(result.out);
  const double used = report["totals"]["used_bytes"].real();
  ASSERT_GT(used, 1e6);
  EXPECT_GE(report["totals"]["reachable_bytes"].real() / used, GetParam().reachable_share)
      << result.out.substr(0, 4000);
  EXPECT_FALSE(report["suspects"].items().empty());
  EXPECT_EQ(report["totals"]["unexplained_bytes"].number(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Programs, RealProgram, ::testing::ValuesIn(programs()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace heapwalk::test
