// The command line as scripts rely on it: exit statuses, error lines, files that are whole or not there.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/core_builder.h"
#include "tests/support/go_pprof.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/pprof_checker.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

namespace fs = std::filesystem;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

size_t files_in(const fs::path& directory) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

void expect_one_line(const std::string& text) {
  EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
  EXPECT_TRUE(text.starts_with("heapwalk: ")) << text;
}

// A core without a heap: enough for everything that is not about objects.
class CommandLine : public ::testing::Test {
 protected:
  CommandLine() {
    CoreBuilder core;
    core.map(0x10000, 0x2000).map(0x7fff0000, 0x1000).thread({.tid = 4711, .sp = 0x7fff0800}).signal(11, 1, 0x10);
    core_ = directory_.write("core", core.build());
  }
  CommandOutput run(std::vector<std::string> arguments) { return run_heapwalk(arguments); }
  // In a shell, as `heapwalk …`.
  CommandOutput shell(const std::string& script) {
    return run_captured({"bash", "-c",
                         "export HEAPWALK_CACHE_DIR=cache; heapwalk() { '" HEAPWALK_BINARY "' \"$@\"; }; cd '" +
                             directory_.path().string() + "'; " + script});
  }
  TemporaryDirectory directory_;
  std::string core_;
};

TEST_F(CommandLine, ReportIsTheDefaultCommand) {
  CommandOutput bare = run({core_}), named = run({"report", core_});
  EXPECT_EQ(bare.status, 0) << bare.err;
  EXPECT_EQ(bare.out, named.out);
  EXPECT_NE(bare.out.find("SIGSEGV"), std::string::npos) << bare.out;
  EXPECT_EQ(bare.err, "");
}

TEST_F(CommandLine, ACoreMayBeNamedLikeACommand) {
  EXPECT_EQ(shell("cp core report; heapwalk ./report").status, 0);
  EXPECT_EQ(shell("cp core report; heapwalk report report").status, 0);
  EXPECT_EQ(shell("cp core leaks; heapwalk info leaks").status, 0);
}

TEST_F(CommandLine, EveryCommandAnswersInEveryFormat) {
  for (const char* command : {"report", "objects", "types", "roots", "leaks", "info"}) {
    for (const char* format : {"text", "json", "tsv"}) {
      CommandOutput result = run({command, core_, "--format", format});
      EXPECT_EQ(result.status, 0) << command << " " << format << ": " << result.err;
      EXPECT_NE(result.out, "") << command;
      if (std::string_view(format) == "json") {
        EXPECT_EQ(parse_json(result.out)["schema"].text(), "heapwalk/1");
      }
    }
  }
}

TEST_F(CommandLine, WrongUsageIsStatusTwoAndOneLine) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"report"},
      {core_, "a", "b"},
      {core_, "--no-such-option"},
      {core_, "--format", "yaml"},
      {core_, "--limit", "x"},
      {core_, "--limit", "-1"},
      {core_, "--threads", "0"},
      {core_, "--color", "sometimes"},
      {core_, "-o"},
      {core_, "--address", "0x10"},
      {"objects", core_, "--state", "gone"},
      {"objects", core_, "--min-size", "10X"},
      {"objects", core_, "--min-size", "-1"},
      {"objects", core_, "--reachable", "maybe"},
      {"objects", core_, "--sort", "color"},
      {"leaks", core_, "--fail-over", ""},
      {"leaks", core_, "--fail-over", "lots"},
      {"why", core_},
      {"why", core_, "--type", "Session", "--address", "0x10"},
      {"show", core_},
      {"show", core_, "--address", "10010"},
      {"types", core_, "--sort", "color"},
      {"why", core_, "--address", "10010"},
      {"why", core_, "--address", "0x"},
      {"why", core_, "--address", "0x11112222333344445"},
      {core_, "--pprof", "-", "--json", "-"},
      {core_, "--pprof", "x", "--json", "x"},
  };
  for (const auto& arguments : wrong) {
    CommandOutput result = run(arguments);
    EXPECT_EQ(result.status, 2) << ::testing::PrintToString(arguments) << result.out;
    EXPECT_EQ(result.out, "");
    expect_one_line(result.err);
  }
}

TEST_F(CommandLine, WhatIsNotBuiltYetSaysSo) {
  const std::vector<std::vector<std::string>> unbuilt = {
      {"diff", core_, core_}, {"export", core_}, {core_, "--html", directory_.file("r.html")}};
  for (const auto& arguments : unbuilt) {
    CommandOutput result = run(arguments);
    EXPECT_EQ(result.status, 2) << ::testing::PrintToString(arguments);
    EXPECT_NE(result.err.find("not in this version"), std::string::npos) << result.err;
    expect_one_line(result.err);
  }
  EXPECT_FALSE(fs::exists(directory_.file("r.html")));
}

TEST_F(CommandLine, ProfilesNeedARuntimeThatKeepsThem) {
  for (const char* kind : {"heap", "allocs", "goroutine", "threadcreate", "block", "mutex", "memstats"}) {
    CommandOutput result = run({"profile", "--kind", kind, core_, "-o", directory_.file("profile")});
    EXPECT_EQ(result.status, 1) << kind;
    expect_one_line(result.err);
    EXPECT_NE(result.err.find("no run-time that keeps"), std::string::npos) << result.err;
  }
  EXPECT_FALSE(fs::exists(directory_.file("profile")));
  const std::vector<std::vector<std::string>> wrong = {{"profile", core_},
                                                       {"profile", "--kind", "cpu", core_},
                                                       {"profile", "--kind", "heap", "--format", "json", core_},
                                                       {"profile", "--kind", "memstats", "--format", "tsv", core_}};
  for (const auto& arguments : wrong) {
    CommandOutput result = run(arguments);
    EXPECT_EQ(result.status, 2) << ::testing::PrintToString(arguments);
    expect_one_line(result.err);
  }
}

// `script` gives the command a terminal.
TEST_F(CommandLine, ATerminalGetsNoBinaryFile) {
  if (run_captured({"script", "--version"}).status != 0) GTEST_SKIP() << "script(1) is not installed";
  CommandOutput result =
      shell("script -qec \"'" HEAPWALK_BINARY "' profile --kind heap '" + core_ + "'\" /dev/null </dev/null");
  EXPECT_EQ(result.status, 2) << result.out << result.err;
  EXPECT_NE(result.out.find("wanted -o FILE"), std::string::npos) << result.out;
}

TEST_F(CommandLine, HelpAndVersionGoToStandardOutput) {
  for (const char* command : {"report", "objects", "types", "roots", "leaks", "why", "show", "info", "profile"}) {
    CommandOutput help = run({command, "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_EQ(help.err, "");
    for (const char* option : {"--format", "--output", "--sysroot", "--debug-dir", "--threads", "--color", "--progress",
                               "--quiet", "--version", "--force"}) {
      EXPECT_NE(help.out.find(option), std::string::npos) << command << " " << option;
    }
    EXPECT_EQ(help.out.find("--html"), std::string::npos) << "help must not offer what is not there";
  }
  EXPECT_NE(run({"--help"}).out.find("leaks"), std::string::npos);
  EXPECT_TRUE(run({"--version"}).out.starts_with("heapwalk "));
  EXPECT_EQ(run({"info", "--version"}).status, 0);
}

TEST_F(CommandLine, ACoreThatCannotBeReadIsStatusOneAndOneLine) {
  std::string empty = directory_.write("empty", std::string_view());
  std::string text = directory_.write("text", "this is no core file\n");
  for (const std::string& core :
       {empty, text, directory_.path().string(), directory_.file("missing"), std::string(HEAPWALK_BINARY)}) {
    for (const char* command : {"report", "info"}) {
      CommandOutput result = run({command, core});
      EXPECT_EQ(result.status, 1) << core << result.out;
      EXPECT_EQ(result.out, "");
      expect_one_line(result.err);
      EXPECT_NE(result.err.find(core), std::string::npos) << result.err;
    }
  }
}

TEST_F(CommandLine, AnOutputFileIsWholeOrAsItWas) {
  std::string file = directory_.file("report.txt");
  size_t before = files_in(directory_.path());
  CommandOutput result = run({core_, "-o", file});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(read_file(file), run({core_}).out);
  EXPECT_EQ(files_in(directory_.path()), before + 1) << "no temporary file is left";
  struct stat status{};
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0077 & ~0022, 044U) << "as any new file, not as a private temporary one";

  directory_.write("report.txt", "old");
  EXPECT_EQ(run({directory_.file("missing"), "-o", file}).status, 1);
  EXPECT_EQ(read_file(file), "old");
  EXPECT_EQ(files_in(directory_.path()), before + 1);

  for (const std::string& bad : {directory_.file("no/such/directory"), directory_.path().string()}) {
    CommandOutput refused = run({core_, "-o", bad});
    EXPECT_EQ(refused.status, 1);
    EXPECT_EQ(refused.out, "");
    expect_one_line(refused.err);
  }
}

TEST_F(CommandLine, AFullDiskLeavesTheOldFile) {
  // A file size limit of 0 makes every write fail as a full disk does.
  std::string file = directory_.write("report.txt", "old");
  CommandOutput result = shell("trap '' XFSZ; ulimit -f 0; heapwalk core -o report.txt");
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_EQ(read_file(file), "old");
  EXPECT_EQ(files_in(directory_.path()), 2U);
}

TEST_F(CommandLine, WhatIsNoRegularFileIsWrittenAndNotReplaced) {
  EXPECT_EQ(run({core_, "-o", "/dev/null"}).status, 0);
  EXPECT_FALSE(fs::is_regular_file("/dev/null"));
  EXPECT_EQ(run({core_, "-o", "/dev/full"}).status, 1);
  fs::create_symlink(directory_.file("real.txt"), directory_.file("link.txt"));
  directory_.write("real.txt", "old");
  EXPECT_EQ(run({core_, "-o", directory_.file("link.txt")}).status, 0);
  EXPECT_TRUE(fs::is_symlink(directory_.file("link.txt")));
  EXPECT_NE(read_file(directory_.file("real.txt")), "old");
  EXPECT_NE(run({core_, "-o", "-"}).out, "");
}

TEST_F(CommandLine, TheCoreIsNeverOverwritten) {
  std::string before = read_file(core_);
  for (const char* option : {"-o", "--pprof", "--json"}) {
    CommandOutput result = run({core_, option, directory_.path().string() + "/./core"});
    EXPECT_EQ(result.status, 2);
    expect_one_line(result.err);
  }
  EXPECT_EQ(read_file(core_), before);
}

TEST_F(CommandLine, AReaderThatGoesAwayIsNoError) {
  CommandOutput result = shell("heapwalk core --limit 0 | head -c 1 > /dev/null; echo ${PIPESTATUS[0]}");
  EXPECT_EQ(result.out, "0\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(shell("heapwalk core | true; echo ${PIPESTATUS[0]}").out, "0\n");
  CommandOutput full = shell("heapwalk core > /dev/full");
  EXPECT_EQ(full.status, 1);
  expect_one_line(full.err);
}

TEST_F(CommandLine, ColourOnlyWhenAskedFor) {
  EXPECT_EQ(run({core_}).out.find('\x1b'), std::string::npos);
  EXPECT_NE(run({core_, "--color", "always"}).out.find('\x1b'), std::string::npos);
  EXPECT_EQ(run({core_, "--color", "never"}).out.find('\x1b'), std::string::npos);
}

TEST_F(CommandLine, SeveralDocumentsInOneRun) {
  std::string json = directory_.file("r.json"), profile = directory_.file("r.pb.gz");
  CommandOutput result = run({core_, "--json", json, "--pprof", profile});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, run({core_}).out);
  EXPECT_EQ(parse_json(read_file(json))["core"]["signal"].text(), "SIGSEGV");
  EXPECT_EQ(check_profile(read_file(profile)).violation_text(), "");
  CommandOutput piped = run({core_, "--json", "-"});
  EXPECT_EQ(parse_json(piped.out)["schema"].text(), "heapwalk/1");
  EXPECT_EQ(check_profile(run({core_, "--pprof", "-"}).out).violation_text(), "");
}

TEST_F(CommandLine, AnAddressWithoutAnObjectIsStatusOne) {
  CommandOutput result = run({"why", core_, "--address", "0x10010"});
  EXPECT_EQ(result.status, 1);
  expect_one_line(result.err);
  EXPECT_NE(result.err.find("0x10010"), std::string::npos);
}

class CommandLineOnLeaks : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    run_ = new ProgramRun({.arguments = {std::string(HEAPWALK_PROGRAMS_DIR) + "/planted_leaks"}});
  }
  static void TearDownTestSuite() { delete run_; }
  void SetUp() override {
    if (!run_->skip_reason().empty()) GTEST_SKIP() << run_->skip_reason();
    ASSERT_EQ(run_->error(), "");
  }
  CommandOutput run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin() + 1, run_->core_path());
    return run_heapwalk(arguments);
  }
  static inline ProgramRun* run_ = nullptr;
};

TEST_F(CommandLineOnLeaks, AThresholdThatIsExceededIsStatusThree) {
  Json totals = parse_json(run({"report", "--format", "json"}).out)["totals"];
  uint64_t leaked = totals["leaked_bytes"].number();
  ASSERT_GT(leaked, 1024U);
  CommandOutput over = run({"leaks", "--fail-over", std::to_string(leaked - 1)});
  EXPECT_EQ(over.status, 3);
  EXPECT_NE(over.out.find("Leaks"), std::string::npos) << "the answer is printed all the same";
  EXPECT_EQ(run({"leaks", "--fail-over", std::to_string(leaked)}).status, 0);
  EXPECT_EQ(run({"leaks", "--fail-over", "1K"}).status, 3);
  EXPECT_EQ(run({"leaks", "--fail-over", "0.5K"}).status, 3);
  EXPECT_EQ(run({"leaks", "--fail-over", "3.5G"}).status, 0);
  EXPECT_EQ(run({"leaks"}).status, 0);
}

TEST_F(CommandLineOnLeaks, ProfileAndJsonHaveTheSameTotals) {
  Json totals = parse_json(run({"report", "--format", "json"}).out)["totals"];
  CheckedProfile checked = check_profile(run({"report", "--pprof", "-"}).out);
  EXPECT_EQ(checked.violation_text(), "");
  auto objects = static_cast<int64_t>(totals["used_objects"].number());
  auto bytes = static_cast<int64_t>(totals["used_bytes"].number());
  EXPECT_EQ(checked.totals, (std::array<int64_t, 4>{objects, bytes, objects, bytes}));
}

TEST_F(CommandLineOnLeaks, PprofItselfReadsTheProfile) {
  if (std::string reason = why_no_go_pprof(); !reason.empty()) GTEST_SKIP() << reason;
  TemporaryDirectory directory;
  Json totals = parse_json(run({"report", "--format", "json", "--pprof", directory.file("p.pb.gz")}).out)["totals"];
  for (const char* type : {"inuse_space", "path_space"}) {
    CommandOutput top = run_go_pprof(directory.path().string(), {std::string("-sample_index=") + type, "-top",
                                                                 "-unit=B", "-trim=false", directory.file("p.pb.gz")});
    EXPECT_EQ(top.status, 0) << top.err;
    std::string total = std::to_string(totals["used_bytes"].number()) + "B total";
    EXPECT_NE(top.out.find(total), std::string::npos) << total << " is not in\n" << top.out.substr(0, 500);
  }
}

TEST_F(CommandLineOnLeaks, WhyExplainsEachObject) {
  Json objects = parse_json(run({"objects", "--format", "json", "--sort", "retained", "--limit", "20"}).out)["objects"];
  ASSERT_EQ(objects.items().size(), 20U);
  for (const Json& object : objects.items()) {
    Json why = parse_json(run({"why", "--format", "json", "--address", object["address"].text()}).out);
    EXPECT_EQ(why["targets"].number(), 1U);
    EXPECT_EQ(why["object"]["retained_bytes"].number(), object["retained"].number());
    bool is_reachable = object["root"].text() != "";
    EXPECT_EQ(why["paths"].items().empty(), !is_reachable) << object["address"].text();
    EXPECT_EQ(why.has("leak"), !is_reachable);
    for (const Json& path : why["paths"].items()) {
      EXPECT_EQ(path["steps"][path["steps"].items().size() - 1]["address"].text(), object["address"].text());
    }
    if (is_reachable) {
      EXPECT_EQ(why["paths"][0]["root"]["name"].text(), object["root"].text());
    }
  }
}

}  // namespace
}  // namespace heapwalk::test
