// Go servers that leak, from the server's own count to the first sentence of the report and the paths below it.
#include <gtest/gtest.h>

#include "tests/support/go_pprof.h"
#include "tests/support/go_source_run.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"

namespace heapwalk::test {
namespace {

struct Leak {
  uint64_t objects = 0, bytes = 0;  // by the server's count: without its map and what stacks hold besides
};

Leak leak_of(const GoSourceRun& run) {
  const auto truth = run.truth();
  if (truth.size() != 1 || truth[0].size() != 2) return {};
  return {std::stoull(truth[0][0]), std::stoull(truth[0][1])};
}

Json report_of(const GoSourceRun& run, const std::string& pprof = "") {
  std::vector<std::string> arguments = {"report", run.dump().path, run.binary(), "--format", "json"};
  if (!pprof.empty()) arguments.insert(arguments.end(), {"--pprof", pprof});
  const CommandOutput output = run_heapwalk(arguments);
  EXPECT_EQ(output.status, 0) << output.err;
  return parse_json(output.out);
}

// All that the leak holds, and little else: 15 % for map tables, which the server does not count.
void expect_holds(const Json& suspect, const Leak& leak) {
  EXPECT_GE(suspect["retained_bytes"].number(), leak.bytes);
  EXPECT_LE(suspect["retained_bytes"].real(), 1.15 * static_cast<double>(leak.bytes));
  EXPECT_GE(suspect["retained_objects"].number(), leak.objects);
  EXPECT_LE(suspect["retained_objects"].real(), 1.15 * static_cast<double>(leak.objects));
}

std::string path_text(const Json& suspect) {
  std::string text;
  for (const Json& step : suspect["path"].items()) text += step["field"].text() + " " + step["type"].text() + "\n";
  return text;
}

TEST(GoLeak, TheVariableThatHoldsTheCacheIsNamedFirst) {
  const GoSourceRun run("leaky_server", {"-ldflags=-X=main.leak=cache"});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const Leak leak = leak_of(run);
  ASSERT_EQ(leak.objects, 4000U * 6);
  const Json suspect = report_of(run)["suspects"][0];
  EXPECT_EQ(suspect["text"].text().find("`main.server` (global, leaky_server"), 0U) << suspect["text"].text();
  EXPECT_NE(suspect["text"].text().find(" % of it by 4,000 main.Session"), std::string::npos) << suspect["text"].text();
  const std::string path = path_text(suspect);
  for (const char* step : {"sessions main.Cache[string,*main.Session]\n", "\nentries ", " main.Session\n"}) {
    EXPECT_NE(path.find(step), std::string::npos) << path;
  }
  expect_holds(suspect, leak);
}

TEST(GoLeak, ThePlaceThatStartsLostGoroutinesIsNamedFirst) {
  const GoSourceRun run("leaky_server", {"-ldflags=-X=main.leak=goroutines"});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const Leak leak = leak_of(run);
  ASSERT_EQ(leak.objects, 400U * 101);
  const TemporaryDirectory directory;
  const std::string retention = directory.file("retention.pb.gz"), heap = directory.file("heap.pb.gz");
  const Json report = report_of(run, retention);
  const Json suspect = report["suspects"][0];
  EXPECT_EQ(suspect["text"].text().find("400 goroutines created by main.(*Server).handleExport (main.go:"), 0U)
      << suspect["text"].text();
  // Go 1.19 keeps the slice where neither its debug info nor its allocator says what it is.
  const bool is_told = report["allocators"][0]["version"].text().find("1.19") == std::string::npos;
  EXPECT_EQ(path_text(suspect).find(" main.Row[]") != std::string::npos, is_told) << path_text(suspect);
  expect_holds(suspect, leak);
  const Json stuck = report["stuck"][0];
  EXPECT_EQ(stuck["count"].number(), 400U);
  EXPECT_EQ(stuck["state"].text(), "chan send");
  EXPECT_GE(stuck["retained_bytes"].number(), leak.bytes);

  if (const std::string why = why_no_go_pprof(); !why.empty()) GTEST_SKIP() << why;
  const CommandOutput by_holder = run_go_pprof(directory.path(), {"-top", "-cum", "-nodecount=2", retention});
  EXPECT_NE(by_holder.out.find("[goroutine] main.(*Server).export"), std::string::npos) << by_holder.out;
  ASSERT_EQ(run_heapwalk({"profile", run.dump().path, run.binary(), "--kind", "heap", "-o", heap}).status, 0);
  const CommandOutput by_site = run_go_pprof(directory.path(), {"-top", "-nodecount=1", heap});
  EXPECT_NE(by_site.out.find("main.(*Server).export\n"), std::string::npos) << by_site.out;
}

}  // namespace
}  // namespace heapwalk::test
