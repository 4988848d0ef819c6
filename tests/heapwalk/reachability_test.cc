#include "heapwalk/reachability.h"

#include <gtest/gtest.h>

#include "tests/support/graph_text.h"

namespace heapwalk {
namespace {

TEST(Reachability, BetterEdgesWin) {
  // One stale word from `junk` into the middle of the tree must not move it out from under its owner.
  EXPECT_EQ(GraphText(R"(
    root owner -> !tree
    root junk -> left
    tree 16 -> !left !right
    left 16 -> !leaf
    right 16
    leaf 16
    stages: exact(owner junk tree left right leaf)
    dominators: process(owner(tree(left(leaf) right)) junk)
    retained: owner=64/4 junk=0/0)")
                .mismatch(),
            "");
}

TEST(Reachability, StagesFollowTheWorstEdgeOfTheBestPath) {
  EXPECT_EQ(GraphText(R"(
    root r -> !a ~t
    a 16 -> b
    b 16 -> !c ~d
    c 16
    d 16 -> !e
    e 16 -> !c
    t 16 -> d
    stages: exact(r a) conservative(b c) tainted(d e t)
    dominators: process(r(a(b(c)) d(e) t))
    leak roots: )")
                .mismatch(),
            "");
}

TEST(Reachability, OwnersAreNodes) {
  EXPECT_EQ(GraphText(R"(
    owner thread
    owner frame in thread
    owner module
    root local in frame -> a shared
    root global in module -> shared
    a 32
    shared 8
    dominators: process(thread(frame(local(a))) module(global) shared)
    retained: thread=32/1 process=40/2 module=0/0)")
                .mismatch(),
            "");
}

TEST(Reachability, OrderAndParentsAreATreeOfShortestPaths) {
  GraphText text(R"(
    root r -> a
    a 16 -> b c
    b 16 -> d
    c 16 -> e
    d 16 -> f
    e 16 -> g
    f 16
    g 16 -> f h
    h 16)");
  Reachability reach = find_reachable(text.graph(), text.objects());
  EXPECT_EQ(text.names(reach.order), "process r a b c d e f g h unreachable");
  EXPECT_EQ(reach.parent[index(text.node("f"))], text.node("d"));
  EXPECT_TRUE(reach.several_parents[index(text.node("f"))]);
  EXPECT_FALSE(reach.several_parents[index(text.node("h"))]);
  EXPECT_EQ(reach.parent[index(kProcessNode)], kNoNode);
  EXPECT_EQ(reach.parent[index(kUnreachableNode)], kNoNode);
}

TEST(Reachability, BackPointersAreNoSecondEntry) {
  GraphText text(R"(
    root r -> a
    a 16 -> b
    b 16 -> a c
    c 16 -> b)");
  Reachability reach = find_reachable(text.graph(), text.objects());
  for (const char* name : {"a", "b", "c"}) EXPECT_FALSE(reach.several_parents[index(text.node(name))]) << name;
  // Once `c` can be entered from elsewhere, so can everything that it points back to.
  GraphText entered(R"(
    root r -> a
    root s -> c
    a 16 -> b
    b 16 -> a c
    c 16 -> b)");
  reach = find_reachable(entered.graph(), entered.objects());
  EXPECT_EQ(entered.name(reach.parent[index(entered.node("c"))]), "s");
  for (const char* name : {"b", "c"}) EXPECT_TRUE(reach.several_parents[index(entered.node(name))]) << name;
  EXPECT_TRUE(reach.several_parents[index(entered.node("a"))]);
}

// Beyond some size, what earlier stages found is not walked again but searched by kind.
TEST(Reachability, AFewTaintedEdgesInALargeGraph) {
  constexpr uint32_t kNodes = 100'000;
  GraphSketch sketch;
  sketch.first_object = 3;
  sketch.sizes.assign(2 * kNodes, 16);
  sketch.add_edge(0, 2, EdgeKind::exact);
  for (uint32_t i = 0; i < kNodes; ++i) {
    sketch.add_edge(2 + i, 3 + i);
    if (i % 100 == 0) sketch.add_edge(3 + i, 3 + kNodes + i, EdgeKind::tainted);
    if (i % 100 < 50) sketch.add_edge(3 + kNodes + i, 4 + kNodes + i, i % 3 == 0 ? EdgeKind::exact : EdgeKind::tainted);
  }
  Reachability reach = find_reachable(sketch.graph(), sketch.objects());
  for (uint32_t i = 0; i < kNodes; ++i) {
    ASSERT_EQ(reach.stage_of(NodeId{3 + i}), Stage::conservative);
    Stage expected = i % 100 <= 50 ? Stage::tainted : Stage::leaked;
    ASSERT_EQ(reach.stage_of(NodeId{3 + kNodes + i}), expected) << i;
  }
}

TEST(Reachability, FreeBlocksAreNeitherLiveNorLeaked) {
  GraphText text(R"(
    root r -> a
    a 16
    gone 16 free)");
  Reachability reach = find_reachable(text.graph(), text.objects());
  EXPECT_EQ(reach.stage_of(text.node("gone")), Stage::none);
  EXPECT_FALSE(reach.is_reachable(text.node("gone")));
  EXPECT_TRUE(reach.leak_roots.empty());
}

}  // namespace
}  // namespace heapwalk
