// Thousands of random graphs, each compared in everything with the slow and obvious answers.
//
// The generator draws the shape before the graph: how many nodes, how dense, how many back pointers, which kinds of edges,
// how much of it hangs off roots at all. Small graphs of every shape find more than large ones of one.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/slow_dominators.h"

namespace heapwalk {
namespace {

using Random = std::mt19937_64;

uint32_t below(Random& random, uint32_t limit) {
  return static_cast<uint32_t>(random() % limit);
}
bool chance(Random& random, uint32_t percent) {
  return below(random, 100) < percent;
}

EdgeKind random_kind(Random& random, uint32_t profile) {
  if (profile == 0) return EdgeKind::conservative;
  if (profile == 1) return static_cast<EdgeKind>(below(random, 3));
  return chance(random, 80) ? EdgeKind::exact : static_cast<EdgeKind>(1 + below(random, 2));
}

GraphSketch random_sketch(uint64_t seed) {
  Random random(seed);
  GraphSketch sketch;
  uint32_t owners = below(random, 3);
  uint32_t roots = below(random, 4);
  sketch.first_object = 2 + owners + roots;
  for (uint32_t owner = 0; owner < owners; ++owner) {
    sketch.add_edge(owner == 0 || chance(random, 50) ? 0 : 1 + owner, 2 + owner, EdgeKind::exact);
  }
  for (uint32_t root = 0; root < roots; ++root) {
    sketch.add_edge(owners == 0 || chance(random, 50) ? 0 : 2 + below(random, owners), 2 + owners + root,
                    EdgeKind::exact);
  }
  uint32_t objects = 1 + below(random, chance(random, 90) ? 16 : 60);
  uint32_t free_percent = below(random, 2) * 20;
  std::vector<uint32_t> used;
  for (uint32_t object = 0; object < objects; ++object) {
    sketch.sizes.push_back(chance(random, 5) ? 5'000'000'000 : 8 * (1 + below(random, 20)) - below(random, 2));
    bool is_free = chance(random, free_percent);
    sketch.states.push_back(is_free ? AllocationState::free : AllocationState::used);
    if (!is_free) used.push_back(sketch.first_object + object);
  }
  if (used.empty()) return sketch;
  uint32_t kinds = below(random, 3);
  auto any_used = [&] { return used[below(random, static_cast<uint32_t>(used.size()))]; };
  for (uint32_t root = 2 + owners; root < sketch.first_object; ++root) {
    for (uint32_t e = below(random, 4); e-- > 0;) sketch.add_edge(root, any_used(), random_kind(random, kinds));
  }
  bool chain = chance(random, 40);
  uint32_t back_percent = below(random, 3) * 40;
  for (size_t i = 0; chain && i + 1 < used.size(); ++i) {
    if (chance(random, 10)) continue;
    sketch.add_edge(used[i], used[i + 1], random_kind(random, kinds));
    if (chance(random, back_percent)) sketch.add_edge(used[i + 1], used[i], random_kind(random, kinds));
  }
  auto extra = static_cast<uint32_t>(used.size()) * below(random, chain ? 8 : 14) / 4;
  bool local = chance(random, 50);
  for (; extra-- > 0;) {
    uint32_t from = below(random, static_cast<uint32_t>(used.size()));
    uint32_t to = local ? std::min<uint32_t>(from + below(random, 4), static_cast<uint32_t>(used.size()) - 1)
                        : below(random, static_cast<uint32_t>(used.size()));
    sketch.add_edge(used[from], used[to], random_kind(random, kinds));
    if (chance(random, back_percent)) sketch.add_edge(used[to], used[from], random_kind(random, kinds));
  }
  return sketch;
}

void compare(const GraphSketch& sketch, const SlowAnswer& slow, size_t threads) {
  RetentionGraph graph = sketch.graph();
  ObjectIndex objects = sketch.objects();
  ASSERT_TRUE(graph.check());
  ASSERT_TRUE(objects.check());
  Reachability reach = find_reachable(graph, objects);
  DominatorTree tree = find_dominators(graph, reach, objects, threads);
  ASSERT_TRUE(tree.check(objects, graph, reach));
  ASSERT_EQ(reach.leak_roots.size(), slow.leak_roots.size());
  for (size_t r = 0; r < slow.leak_roots.size(); ++r) ASSERT_EQ(index(reach.leak_roots[r]), slow.leak_roots[r]);
  std::vector<NodeId> all;
  for (uint32_t node = 0; node < graph.node_count(); ++node) all.push_back(NodeId{node});
  ASSERT_EQ(tree.retained_objects(all, reach, graph), slow.retained_objects);
  for (uint32_t node = 0; node < graph.node_count(); ++node) {
    NodeId id{node};
    ASSERT_EQ(reach.stage_of(id), slow.stage[node]) << "node " << node;
    ASSERT_EQ(index(tree.immediate_dominator(id)), slow.idom[node]) << "node " << node;
    ASSERT_EQ(tree.retained_bytes(id), slow.retained_bytes[node]) << "node " << node;
    ASSERT_EQ(tree.retained_objects({id}, reach, graph).front(), slow.retained_objects[node]) << "node " << node;
    if (slow.idom[node] != UINT32_MAX && !reach.several_parents[node]) {
      ASSERT_EQ(reach.parent[node], tree.immediate_dominator(id)) << "node " << node;
    }
  }
}

TEST(RandomGraphs, AgreeWithTheSlowAnswers) {
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    SCOPED_TRACE(seed);
    GraphSketch sketch = random_sketch(seed);
    compare(sketch, slow_answer(sketch), 1 + seed % 2);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace heapwalk
