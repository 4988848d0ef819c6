// What the Go programs say about themselves holds: their own heap dump, MemStats and one more collection agree with
// each other and with what was planted. Tests of the decoder build on that.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "heapwalk/runtimes/go/program/layout.h"
#include "tests/support/go_program.h"
#include "tests/support/recorded_core.h"

namespace heapwalk::test {
namespace {

class GoTruthTest : public ::testing::TestWithParam<const char*> {};

void expect_consistent(const GoTruth& truth) {
  EXPECT_EQ(truth.heap.object_bytes(), truth.heap.heap_alloc());
  EXPECT_EQ(truth.memstats["HeapAlloc"].number(), truth.heap.heap_alloc());
  EXPECT_EQ(truth.memstats["Mallocs"].number(), truth.heap.memstats[4]);
  EXPECT_GT(truth.heap.objects.size(), 4000u);
  for (size_t i = 1; i < truth.heap.objects.size(); ++i) {
    const auto& before = truth.heap.objects[i - 1];
    ASSERT_LE(before.address + before.contents.size(), truth.heap.objects[i].address);
  }
  size_t parked = 0;
  for (const auto& goroutine : truth.heap.goroutines) parked += goroutine.wait_reason == "chan receive";
  EXPECT_GE(parked, 15u);
  EXPECT_NE(truth.stacks.find("main.inSelect"), std::string::npos);
}

// The collector's own verdict on every planted object.
void expect_verdicts(const GoTruth& truth) {
  ASSERT_TRUE(truth.after);
  std::map<std::string, size_t> fates;
  for (const PlantedObject& object : truth.planted) {
    ++fates[object.fate];
    const auto* slot = truth.heap.find(object.address);
    ASSERT_NE(slot, nullptr) << object.name;
    EXPECT_GE(slot->contents.size(), object.size_bytes) << object.name;
    EXPECT_EQ(truth.after->find(object.address) == nullptr, object.fate == "garbage")
        << object.fate << " " << object.name << " " << object.holder;
  }
  EXPECT_EQ(fates.size(), 3u);
  for (const auto& [fate, count] : fates) EXPECT_GE(count, 5u) << fate;
}

TEST_P(GoTruthTest, HoldsInACopyOfTheProcess) {
  GoRun run(GetParam(), {"end=fork", "spin=0"});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  expect_consistent(run.truth());
  expect_verdicts(run.truth());
}

std::string build_name(const ::testing::TestParamInfo<const char*>& param) {
  return param.param;
}

INSTANTIATE_TEST_SUITE_P(Builds, GoTruthTest,
                         ::testing::Values("go_heap", "go_heap_stripped", "go_heap_unoptimized", "go_heap_pie",
                                           "go_heap_arenas"),
                         build_name);

TEST(GoTruth, HoldsInWhatWasRecordedOfEachRelease) {
  std::vector<int> minors = recorded_go_minors();
  ASSERT_EQ(minors.size(), go::kLayoutColumns);
  for (int minor : minors) {
    SCOPED_TRACE(minor);
    RecordedCore recorded(minor);
    ASSERT_EQ(recorded.error(), "");
    EXPECT_TRUE(recorded.truth().heap.version.starts_with("go1." + std::to_string(minor) + "."));
    expect_consistent(recorded.truth());
    expect_verdicts(recorded.truth());
    EXPECT_GT(std::filesystem::file_size(recorded.core_path()), 1u << 20);
    EXPECT_GT(std::filesystem::file_size(recorded.binary()), 1u << 20);
    EXPECT_GT(std::filesystem::file_size(recorded.profile_path()), 1000u);
  }
}

TEST(GoTruth, HoldsUnderGcore) {
  GoRun run("go_heap", {"end=wait"}, {.use_gcore = true});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  expect_consistent(run.truth());
  expect_verdicts(run.truth());
}

TEST(GoTruth, HoldsInAProgramWithC) {
  GoRun run("go_cgo", {});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const GoTruth& truth = run.truth();
  EXPECT_EQ(truth.heap.object_bytes(), truth.heap.heap_alloc());
  for (const PlantedObject& object : truth.planted) {
    bool is_in_go = truth.heap.find(object.address) != nullptr;
    EXPECT_EQ(is_in_go, !object.fate.starts_with("c ")) << object.fate << " " << object.name;
  }
}

TEST(GoTruth, HoldsWhenTheRunTimeItselfCrashes) {
  for (const char* end : {"end=crash", "end=panic", "end=abort"}) {
    GoRun run("go_heap", {end, "rate=1"}, {.environment = {{"GOTRACEBACK", "crash"}}});
    if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
    ASSERT_EQ(run.error(), "") << end;
    expect_consistent(run.truth());
    EXPECT_FALSE(run.truth().after);
    EXPECT_GT(run.truth().heap.samples.size(), 10000u) << end;  // every object was sampled
  }
}

}  // namespace
}  // namespace heapwalk::test
