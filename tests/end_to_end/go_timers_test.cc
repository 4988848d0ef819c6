// What only a timer holds is live, exactly, and its path says that it is a timer that holds it, on every release: where the
// run-time keeps its timers has changed several times.
//
// The program is testdata/programs/go/go_timers; it has asked the collector itself.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "heapwalk/analysis.h"
#include "heapwalk/why.h"
#include "tests/support/go_program.h"
#include "tests/support/go_toolchain.h"

namespace heapwalk::test {
namespace {

class GoTimers : public ::testing::TestWithParam<std::string> {};

// "runtime.allp array […] timers.heap.array […].timer timer.arg.data object left"
std::string fields_of(const RootPath& path) {
  std::string text = path.root_name;
  for (const PathStep& step : path.steps)
    if (!step.field.empty()) text += " " + step.field;
  return text;
}

TEST_P(GoTimers, HoldWhatNobodyElseDoes) {
  GoRun run("go_timers", {}, {.toolchain = GetParam(), .writes_heap_dump = false});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const auto analysis = analyze(run.core_path(), {.core = {.binary = run.binary()}, .threads = 2, .on_stage = {}});
  ASSERT_TRUE(analysis) << analysis.error().message;
  std::map<std::string, std::map<Stage, size_t>> stages;  // of garbage
  std::set<std::string> kinds;
  for (const PlantedObject& object : run.truth().planted) {
    ASSERT_TRUE(object.fate == "live" || object.fate == "garbage") << object.name << ": " << object.fate;
    const auto id = analysis->objects.find_used(object.address);
    ASSERT_TRUE(id) << object.name;
    const Stage stage = analysis->reachability.stage_of(analysis->graph.node_of(*id));
    if (object.fate == "garbage") {
      stages[object.name][stage] += 1;
      continue;
    }
    EXPECT_EQ(stage, Stage::exact) << object.name;
    if (!kinds.insert(object.name).second) continue;
    const auto why = explain_object(*analysis, object.address, {.paths = 1, .avoid = {}});
    ASSERT_TRUE(why) << why.error().message;
    ASSERT_FALSE(why->paths.empty()) << object.name;
    const RootPath& path = why->paths.front();
    if (object.name.starts_with("channel that")) {
      EXPECT_EQ(path.root_kind, "goroutine");
    } else {
      EXPECT_EQ(path.root_name, "runtime.allp");
      EXPECT_NE(fields_of(path).find(" timers."), std::string::npos) << fields_of(path);
    }
  }
  EXPECT_GE(kinds.size(), 5u);
  for (auto& [name, of_kind] : stages) {
    EXPECT_EQ(of_kind[Stage::exact], 0u) << name;
    EXPECT_GE(of_kind[Stage::leaked], 48u) << name;  // of 50: a stale word may be in a register or a running frame
  }
}

INSTANTIATE_TEST_SUITE_P(Go, GoTimers, ::testing::ValuesIn(go_toolchains()),
                         [](const auto& param) { return "toolchain" + std::to_string(param.index); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoTimers);

}  // namespace
}  // namespace heapwalk::test
