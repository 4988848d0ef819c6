#include "heapwalk/holders.h"

#include <gtest/gtest.h>

#include "heapwalk/sample_paths.h"
#include "heapwalk/site_rows.h"
#include "tests/support/analysis_builder.h"

namespace heapwalk::test {
namespace {

class HoldersTest : public testing::Test {
 protected:
  using ObjectRef = AnalysisBuilder::ObjectRef;
  using RootRef = AnalysisBuilder::RootRef;

  ObjectRef held_by(std::initializer_list<RootRef> roots) {
    const ObjectRef object = builder.object(64, "7Session");
    for (RootRef root : roots) builder.refer(root, object);
    return object;
  }
  NodeId node(ObjectRef object) const { return analysis.graph.node_of(ObjectId{static_cast<uint32_t>(object)}); }
  std::string holder(ObjectRef object) { return holders->name(holders->of(node(object))); }
  void build() {
    analysis = builder.build();
    holders.emplace(analysis);
  }

  AnalysisBuilder builder;
  Analysis analysis;
  std::optional<Holders> holders;
};

TEST_F(HoldersTest, OneRootOrSeveral) {
  const auto module = builder.owner(OwnerKind::module, "server");
  const auto cache = builder.root(RootKind::global, module, "main.cache");
  const auto index = builder.root(RootKind::global, module, "main.index");
  const auto own = held_by({cache}), shared = held_by({cache, index}), lost = held_by({});
  const auto below = builder.object(64), near = builder.object(64), deep = builder.object(64);
  builder.refer(shared, below);  // all that hold the one hold the other
  builder.refer(index, near).refer(near, deep).refer(own, deep);
  build();
  EXPECT_EQ(holder(own), "main.cache");
  EXPECT_EQ(holder(shared), "main.cache (shared)");
  EXPECT_EQ(holder(below), "main.cache (shared)");
  EXPECT_EQ(holder(near), "main.index");
  EXPECT_EQ(holder(deep), "main.cache (shared)");
  EXPECT_EQ(holder(lost), "leaked");  // malloc's: no collector would free it
  EXPECT_EQ(holders->of(node(shared)), holders->of(node(below)));
}

TEST_F(HoldersTest, GoroutinesThatDoTheSameAreOne) {
  const auto group = builder.owner(OwnerKind::goroutine, "2 goroutines created by main.serve");
  const auto first = builder.owner(OwnerKind::goroutine, "goroutine 7 [select]", group);
  const auto second = builder.owner(OwnerKind::goroutine, "goroutine 8 [select]", group);
  const auto single = builder.owner(OwnerKind::goroutine, "goroutine 1 [running] created by the run-time");
  const auto a = builder.root(RootKind::goroutine, first, "main.worker local batch");
  const auto a_callee = builder.root(RootKind::goroutine, first, "main.parse parameter batch");
  const auto b = builder.root(RootKind::goroutine, second, "main.worker local batch");
  const auto c = builder.root(RootKind::goroutine, single, "main.main local a");
  const auto c_other = builder.root(RootKind::goroutine, single, "main.main local b");
  const auto of_a = held_by({a}), of_b = held_by({b}), of_both = held_by({a, b});
  const auto twice = held_by({a, a_callee}), of_main = held_by({c, c_other});
  build();
  EXPECT_EQ(holder(of_a), "goroutine main.worker local batch");
  EXPECT_EQ(holder(of_b), "goroutine main.worker local batch");
  EXPECT_EQ(holders->of(node(of_a)), holders->of(node(of_b)));
  EXPECT_EQ(holder(of_both), "goroutine main.worker local batch (shared)");
  EXPECT_EQ(holder(twice), "goroutine main.worker local batch");
  EXPECT_EQ(holder(of_main), "goroutine main.main local a");
}

// Chains are long, and asked about in any order.
TEST_F(HoldersTest, LongChainsFromAnyEnd) {
  const auto module = builder.owner(OwnerKind::module, "server");
  const auto head = builder.root(RootKind::global, module, "main.list");
  const auto middle = builder.root(RootKind::global, module, "main.middle");
  constexpr uint32_t kNodes = 100'000;
  std::vector<ObjectRef> nodes;
  for (uint32_t i = 0; i < kNodes; ++i) {
    nodes.push_back(builder.object(24, "4Node"));
    if (i == 0)
      builder.refer(head, nodes[0]);
    else
      builder.refer(nodes[i - 1], nodes[i]);
  }
  builder.refer(middle, nodes[kNodes / 2]);
  build();
  for (uint32_t i : {kNodes - 1, 0U, kNodes / 2 - 1, kNodes / 2, 1U, kNodes - 2})
    EXPECT_EQ(holder(nodes[i]), i < kNodes / 2 ? "main.list" : "main.middle (shared)") << i;
  for (uint32_t i = 0; i < kNodes; ++i)
    ASSERT_EQ(holders->of(node(nodes[i])), holders->of(node(nodes[i < kNodes / 2 ? 0 : kNodes - 1])));
}

TEST_F(HoldersTest, PathsOfSamplesFold) {
  const auto module = builder.owner(OwnerKind::module, "server");
  const auto list = builder.root(RootKind::global, module, "main.list");
  const auto group = builder.owner(OwnerKind::goroutine, "2 goroutines created by main.serve");
  const auto first = builder.owner(OwnerKind::goroutine, "goroutine 7 [select]", group);
  const auto second = builder.owner(OwnerKind::goroutine, "goroutine 8 [select]", group);
  const auto a = held_by({builder.root(RootKind::goroutine, first, "main.worker local batch")});
  const auto b = held_by({builder.root(RootKind::goroutine, second, "main.worker local batch")});
  std::vector<ObjectRef> nodes{builder.object(24, "4Node")};
  builder.refer(list, nodes[0]);
  for (int i = 0; i < 1000; ++i) {
    nodes.push_back(builder.object(24, "4Node"));
    builder.refer(nodes[nodes.size() - 2], nodes.back());
  }
  const auto leaf = builder.object(64, "7Session");
  builder.refer(nodes.back(), leaf);
  const auto lost = held_by({});
  build();
  SamplePaths paths(analysis, *holders);
  EXPECT_EQ(paths.line_of(node(a)), paths.line_of(node(b)));
  EXPECT_EQ(paths.line_of(node(nodes[700])), paths.line_of(node(nodes[3])));
  EXPECT_NE(paths.line_of(node(nodes[0])), paths.line_of(node(leaf)));
  EXPECT_NE(paths.line_of(node(a)), paths.line_of(node(leaf)));
  EXPECT_EQ(paths.text(paths.line_of(node(a))), "goroutine main.worker local batch → Session");
  EXPECT_EQ(paths.text(paths.line_of(node(lost))), "leaked → Session");
  const std::string far = paths.text(paths.line_of(node(leaf)));
  EXPECT_TRUE(far.starts_with("main.list → ")) << far;
  EXPECT_TRUE(far.ends_with(" Session")) << far;
  EXPECT_NE(far.find("…"), std::string::npos) << far;
  EXPECT_LT(far.size(), 200U) << far;
}

// Estimates are rounded; what the parts get is what the whole gets.
TEST(ShareEstimator, PartsSumToTheWhole) {
  SampledObjects sampled;
  sampled.sites = {{{}, 48}};
  sampled.estimate = [](uint64_t objects, uint64_t bytes) {
    return std::pair(static_cast<int64_t>(static_cast<double>(objects) * 10923.17),
                     static_cast<int64_t>(static_cast<double>(bytes) * 10923.17));
  };
  for (uint64_t whole : {1U, 7U, 100U, 12345U}) {
    ShareEstimator shares(sampled, 0);
    int64_t objects = 0, bytes = 0;
    for (uint64_t rest = whole, next = 1; rest > 0; next *= 2) {
      const uint64_t part = std::min(next, rest);
      rest -= part;
      const auto [more_objects, more_bytes] = shares.add(part);
      const auto alone = sampled.estimate(part, part * 48);
      EXPECT_LE(std::abs(more_objects - alone.first), 1);
      EXPECT_LE(std::abs(more_bytes - alone.second), 1);
      objects += more_objects;
      bytes += more_bytes;
    }
    EXPECT_EQ(std::pair(objects, bytes), sampled.estimate(whole, whole * 48));
  }
}

}  // namespace
}  // namespace heapwalk::test
