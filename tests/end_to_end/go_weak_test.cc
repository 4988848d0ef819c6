// What weak pointers and interned values lead to: that is no reference, not even a doubtful one. The handle between them is an
// object of its own, which the run-time keeps.
#include <gtest/gtest.h>

#include "heapwalk/analysis.h"
#include "heapwalk/path_finder.h"
#include "tests/support/recorded_core.h"

namespace heapwalk::test {
namespace {

class GoWeak : public ::testing::TestWithParam<int> {};

TEST_P(GoWeak, PointersReferToNothing) {
  const RecordedCore core(GetParam());
  ASSERT_EQ(core.error(), "");
  const auto analysis = analyze(core.core_path(), {.core = {.binary = core.binary()}, .threads = 2, .on_stage = {}});
  ASSERT_TRUE(analysis) << analysis.error().message;
  size_t weak = 0;
  for (const PlantedObject& object : core.truth().planted) {
    if (object.fate != "garbage" || object.name != "weak") continue;
    const auto id = analysis->objects.find_used(object.address);
    ASSERT_TRUE(id);
    const NodeId node = analysis->graph.node_of(*id);
    EXPECT_EQ(analysis->reachability.stage_of(node), Stage::leaked);
    for (const Referrer& referrer : find_referrers(analysis->graph, std::span(&node, 1), 10))
      EXPECT_NE(referrer.kind, EdgeKind::exact);
    ++weak;
  }
  EXPECT_EQ(weak, 5u);
  uint64_t handles = 0;
  for (const Root& root : analysis->roots.roots) {
    if (root.kind != RootKind::handle || root.stable_name != "weak handle") continue;
    ++handles;
    const auto target = analysis->dump->memory.read_pointer(root.location.begin);
    const auto handle = target ? analysis->objects.find_used(*target) : std::nullopt;
    ASSERT_TRUE(handle);
    EXPECT_EQ(analysis->reachability.stage_of(analysis->graph.node_of(*handle)), Stage::exact);
    EXPECT_LE(analysis->objects.size_bytes(*handle), 16u);
  }
  EXPECT_GE(handles, 5u);
}

INSTANTIATE_TEST_SUITE_P(Go1, GoWeak, ::testing::Values(24, 25, 26, 27), ::testing::PrintToStringParamName());

}  // namespace
}  // namespace heapwalk::test
