// The demo, from the program's own words to the report: the session cache, the forgotten global and the leak are named,
// and each holds exactly the bytes that the program counted while it ran.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "tests/support/go_pprof.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/pprof_checker.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

const std::string kBinary = std::string(HEAPWALK_PROGRAMS_DIR) + "/demo_server";

struct Held {
  uint64_t allocations = 0;
  uint64_t bytes = 0;
};

// `truth sessions 178401 allocations 32467432 bytes`
std::map<std::string, Held> parse_truth(const std::string& output) {
  std::map<std::string, Held> truth;
  std::istringstream lines(output);
  std::string word, name, unit;
  Held held;
  while (lines >> word >> name >> held.allocations >> unit >> held.bytes >> unit) truth[name] = held;
  return truth;
}

class Demo : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    run_ = new ProgramRun({.arguments = {kBinary}});
    if (run_->core_path().empty()) return;
    const CommandOutput result = run_heapwalk({"report", run_->core_path(), kBinary, "--format", "json"});
    ASSERT_EQ(result.status, 0) << result.err;
    report_ = new Json(parse_json(result.out));
    truth_ = parse_truth(run_->output());
  }
  static void TearDownTestSuite() {
    delete report_;
    delete run_;
  }
  void SetUp() override {
    if (!run_->skip_reason().empty()) GTEST_SKIP() << run_->skip_reason();
    ASSERT_EQ(run_->error(), "");
    ASSERT_EQ(truth_.size(), 3U) << run_->output();
  }

  static Json root(const std::string& name) {
    for (const Json& root : (*report_)["roots"].items())
      if (root["name"].text() == name) return root;
    return (*report_)["no such root"];
  }

  static inline ProgramRun* run_ = nullptr;
  static inline Json* report_ = nullptr;
  static inline std::map<std::string, Held> truth_;
};

TEST_F(Demo, SessionCacheHoldsWhatTheProgramCounted) {
  const Json sessions = root("g_server");
  ASSERT_FALSE(sessions.is_null());
  EXPECT_EQ(sessions["retained_bytes"].number(), truth_["sessions"].bytes);
  EXPECT_EQ(sessions["retained_objects"].number(), truth_["sessions"].allocations);
  EXPECT_EQ(sessions["kind"].text(), "global");
  EXPECT_NE(sessions["source"].text().find("demo_server.cc:"), std::string::npos);
}

TEST_F(Demo, ForgottenGlobalHoldsWhatTheProgramCounted) {
  const Json trail = root("audit::trail");
  ASSERT_FALSE(trail.is_null());
  EXPECT_EQ(trail["retained_bytes"].number(), truth_["audit"].bytes);
  EXPECT_EQ(trail["retained_objects"].number(), truth_["audit"].allocations);
}

TEST_F(Demo, LeakIsFoundExactlyAndByItsType) {
  const Json totals = (*report_)["totals"];
  EXPECT_EQ(totals["leaked_bytes"].number(), truth_["leak"].bytes);
  EXPECT_EQ(totals["leaked_objects"].number(), truth_["leak"].allocations);
  ASSERT_EQ((*report_)["leaks"].items().size(), 1U);
  EXPECT_EQ((*report_)["leaks"][0]["type"].text(), "UploadRequest");
  EXPECT_EQ((*report_)["leaks"][0]["roots"].number() * 2, truth_["leak"].allocations);
}

TEST_F(Demo, SuspectsAreTheThreeProblems) {
  const std::vector<Json> suspects = (*report_)["suspects"].items();
  ASSERT_EQ(suspects.size(), 3U);
  EXPECT_EQ(suspects[0]["name"].text(), "g_server");
  EXPECT_EQ(suspects[1]["name"].text(), "audit::trail");
  EXPECT_EQ(suspects[2]["kind"].text(), "leak");
  EXPECT_EQ(suspects[2]["retained_bytes"].number(), truth_["leak"].bytes);
}

TEST_F(Demo, BooksBalance) {
  const Json totals = (*report_)["totals"];
  EXPECT_EQ(totals["used_bytes"].number(), totals["reachable_bytes"].number() + totals["leaked_bytes"].number());
  EXPECT_EQ(totals["used_objects"].number(), totals["reachable_objects"].number() + totals["leaked_objects"].number());
  EXPECT_EQ(totals["unexplained_bytes"].number(), 0U);
  uint64_t heap = 0;
  for (const Json& row : (*report_)["memory"].items())
    if (row["kind"].text() == "heap") heap += row["bytes"].number();
  EXPECT_EQ(heap, totals["used_bytes"].number() + totals["free_bytes"].number() + totals["cached_bytes"].number() +
                      totals["metadata_bytes"].number() + totals["unexplained_bytes"].number());
}

TEST_F(Demo, TextReportFitsTheFirstScreenAndNamesTheThree) {
  const CommandOutput result = run_heapwalk({run_->core_path(), kBinary});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_LE(std::ranges::count(result.out, '\n'), 50) << result.out;
  for (const char* name : {"g_server", "audit::trail", "UploadRequest", "SIGABRT"})
    EXPECT_NE(result.out.find(name), std::string::npos) << name << " is missing in\n" << result.out;
}

// pprof's cumulative value of a root's frame is what the root retains.
TEST_F(Demo, ProfileSaysTheSameAsTheReport) {
  const TemporaryDirectory scratch;
  const std::string profile = scratch.file("demo.pb.gz");
  const CommandOutput result = run_heapwalk({"report", run_->core_path(), kBinary, "--pprof", profile});
  ASSERT_EQ(result.status, 0) << result.err;
  std::ifstream file(profile, std::ios::binary);
  const CheckedProfile checked =
      check_profile(std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()));
  EXPECT_TRUE(checked.violations.empty()) << checked.violation_text();
  const Json totals = (*report_)["totals"];
  const auto used_objects = static_cast<int64_t>(totals["used_objects"].number());
  const auto used_bytes = static_cast<int64_t>(totals["used_bytes"].number());
  EXPECT_EQ(checked.totals, (std::array{used_objects, used_bytes, used_objects, used_bytes}));
  std::map<std::string, uint64_t> retained;  // by root frame
  for (const auto& [stack, bytes] : checked.by_dominator)
    retained[stack.substr(0, stack.find(';'))] += static_cast<uint64_t>(bytes);
  EXPECT_EQ(retained["[global] g_server"], truth_["sessions"].bytes);
  EXPECT_EQ(retained["[global] audit::trail"], truth_["audit"].bytes);
  EXPECT_EQ(retained["[unreachable] UploadRequest"], truth_["leak"].bytes);

  if (const std::string reason = why_no_go_pprof(); !reason.empty()) GTEST_SKIP() << reason;
  const CommandOutput top = run_go_pprof(scratch.path().string(), {"-top", "-cum", "-unit=B", profile});
  ASSERT_EQ(top.status, 0) << top.err;
  EXPECT_NE(top.out.find(std::to_string(truth_["sessions"].bytes) + "B"), std::string::npos) << top.out;
  EXPECT_NE(top.out.find(fmt::format("of {}B total", used_bytes)), std::string::npos) << top.out;
}

TEST_F(Demo, OutputIsTheSameForAnyThreadCount) {
  for (const char* command : {"report", "objects", "roots", "leaks"}) {
    const CommandOutput one = run_heapwalk({command, run_->core_path(), kBinary, "--threads", "1"});
    const CommandOutput four = run_heapwalk({command, run_->core_path(), kBinary, "--threads", "4"});
    ASSERT_EQ(one.status, 0) << one.err;
    EXPECT_EQ(one.out, four.out) << command;
  }
}

}  // namespace
}  // namespace heapwalk::test
