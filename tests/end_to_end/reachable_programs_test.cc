// Programs that nobody wrote for this test, before they exit: nothing of what they use may look leaked by the reader's
// fault. A bound of a few per cent stays, because CPython and gdb do lose a block now and then; what a missed kind of root
// costs is far more (thread-local storage, a mapping, interior pointers: a tenth of the heap and up).
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

struct Program {
  std::string name;
  std::vector<std::string> command;
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
      {"cpython", {"/usr/bin/python3", "-c", kPython}},
      // gdb's handler for SIGABRT runs on an alternate stack that gdb allocated with malloc.
      {"gdb",
       {"/usr/bin/gdb", "-nx", "-batch", "-ex", "file " HEAPWALK_PROGRAMS_DIR "/demo_server", "-ex",
        "info functions serve", "-ex", "shell kill -ABRT $PPID"}},
  };
}

class ReachableProgram : public ::testing::TestWithParam<Program> {};

TEST_P(ReachableProgram, LooksHardlyLeaked) {
  if (!std::filesystem::exists(GetParam().command[0])) GTEST_SKIP() << GetParam().command[0] << " is not installed";
  const ProgramRun run({.arguments = GetParam().command, .environment = {{"PYTHONMALLOC", "malloc"}}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const CommandOutput result = run_heapwalk({"report", run.core_path(), "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const Json report = parse_json(result.out);
  const Json totals = report["totals"];
  ASSERT_GT(totals["used_bytes"].number(), 1'000'000U);
  EXPECT_LE(totals["leaked_bytes"].real(), 0.02 * totals["used_bytes"].real()) << result.out.substr(0, 4000);
  EXPECT_EQ(totals["unexplained_bytes"].number(), 0U);
  EXPECT_FALSE(report["suspects"].items().empty());
}

INSTANTIATE_TEST_SUITE_P(Programs, ReachableProgram, ::testing::ValuesIn(programs()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace heapwalk::test
