#include "heapwalk/retention_graph.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/support/graph_text.h"

namespace heapwalk {
namespace {

using Rows = std::vector<std::vector<Edge>>;

RetentionGraph build(const Rows& rows, uint32_t first_object = 2) {
  return make_graph(rows, first_object);
}

void expect_rows(const RetentionGraph& graph, const Rows& rows) {
  ASSERT_EQ(graph.node_count(), rows.size());
  uint64_t edges = 0;
  for (EdgeKind kind : {EdgeKind::exact, EdgeKind::conservative, EdgeKind::tainted}) {
    uint32_t node = 0;
    uint32_t position = 0;
    auto next = [&] {  // the next edge of the kind; node_count: none
      for (;; ++position) {
        while (node < rows.size() && position >= graph.targets(NodeId{node}).size()) {
          ++node;
          position = 0;
        }
        if (node == rows.size() || graph.kind(NodeId{node}, position) == kind) return;
      }
    };
    next();
    graph.for_each_edge_of_kind(kind, [&](NodeId from, NodeId to) {
      ASSERT_EQ(index(from), node);
      ASSERT_EQ(to, graph.targets(from)[position++]);
      next();
    });
    ASSERT_EQ(node, rows.size());
  }
  for (uint32_t node = 0; node < rows.size(); ++node) {
    std::map<NodeId, EdgeKind> expected;  // ascending, the best kind of each target
    for (const Edge& edge : rows[node]) {
      auto [slot, is_new] = expected.emplace(edge.target, edge.kind);
      if (!is_new) slot->second = std::min(slot->second, edge.kind);
    }
    ASSERT_EQ(graph.targets(NodeId{node}).size(), expected.size()) << "node " << node;
    uint32_t position = 0;
    auto next = expected.begin();
    graph.for_each_edge(NodeId{node}, [&](NodeId target, EdgeKind kind) {
      EXPECT_EQ(target, next->first);
      EXPECT_EQ(kind, next->second);
      EXPECT_EQ(graph.targets(NodeId{node})[position], target);
      EXPECT_EQ(graph.kind(NodeId{node}, position++), kind);
      ++next;
    });
    edges += expected.size();
  }
  EXPECT_EQ(graph.edge_count(), edges);
}

TEST(RetentionGraph, SortsRowsAndKeepsTheBestKind) {
  using enum EdgeKind;
  Rows rows(5);
  rows[0] = {{NodeId{2}, exact}};
  rows[2] = {{NodeId{4}, tainted}, {NodeId{3}, conservative}, {NodeId{4}, conservative}, {NodeId{3}, conservative}};
  rows[4] = {{NodeId{3}, tainted}};
  RetentionGraph graph = build(rows);
  EXPECT_TRUE(graph.check());
  expect_rows(graph, rows);
  EXPECT_EQ(graph.targets(NodeId{2})[0], NodeId{3});
  EXPECT_EQ(graph.kind(NodeId{2}, 1), conservative);
  EXPECT_TRUE(graph.has_kind(tainted));
  EXPECT_FALSE(build({{{NodeId{2}, exact}}, {}, {}}).has_kind(tainted));
}

TEST(RetentionGraph, ChecksItsLaws) {
  EXPECT_TRUE(build({{}, {}}).check());
  EXPECT_FALSE(build({{}, {{NodeId{2}, EdgeKind::exact}}, {}}).check()) << "unreachable has no edges of its own";
  EXPECT_FALSE(build({{}, {}, {{NodeId{2}, EdgeKind::exact}}}).check()) << "self-edge";
  EXPECT_FALSE(build({{}, {}, {{NodeId{3}, EdgeKind::exact}}}).check()) << "target out of range";
  EXPECT_FALSE(build({{}, {}, {{NodeId{0}, EdgeKind::exact}}}).check()) << "the process is nobody's target";
}

// Several blocks, one of them dense enough for wide offsets, kinds uniform, late and mixed.
TEST(RetentionGraph, BlocksOfEveryWidth) {
  std::mt19937_64 random(7);
  constexpr uint32_t kNodes = 3 * RetentionGraph::kNodesPerBlock + 77;
  Rows rows(kNodes);
  for (uint32_t node = 2; node < kNodes; ++node) {
    uint32_t block = node / RetentionGraph::kNodesPerBlock;
    uint64_t degree = block == 1 ? 3 + random() % 8 : random() % 4;
    for (uint64_t e = 0; e < degree; ++e) {
      auto target = static_cast<uint32_t>(2 + random() % (kNodes - 2));
      if (target == node) continue;
      EdgeKind kind = block == 0 ? EdgeKind::conservative : static_cast<EdgeKind>(random() % 3);
      rows[node].push_back({NodeId{target}, kind});
    }
  }
  rows[RetentionGraph::kNodesPerBlock - 1].push_back({NodeId{2}, EdgeKind::exact});  // the last row of a uniform block
  RetentionGraph graph = build(rows, 5);
  EXPECT_TRUE(graph.check());
  expect_rows(graph, rows);
  EXPECT_EQ(graph.node_of(ObjectId{3}), NodeId{8});
  EXPECT_EQ(graph.object_of(NodeId{8}), ObjectId{3});
  EXPECT_FALSE(graph.is_object(NodeId{4}));
}

}  // namespace
}  // namespace heapwalk
