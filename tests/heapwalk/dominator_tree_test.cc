// Dominators: stated ones, deep and wide shapes that must not overflow a stack or take quadratic time, and a second
// implementation at scale. The random graphs against the slow answers are in random_graphs_test.cc.
#include "heapwalk/dominator_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/graph_text.h"

namespace heapwalk {
namespace {

TEST(DominatorTree, SharedMemoryRisesToTheCommonOwner) {
  EXPECT_EQ(GraphText(R"(
    owner libfoo
    root cache in libfoo -> map
    root index -> shared
    map 48 -> one two
    one 16 -> text shared
    two 16 -> text
    text 100
    shared 1000
    dominators: process(libfoo(cache(map(one two text))) index shared)
    retained: process=1180/5 cache=180/4 map=180/4 one=16/1 text=100/1 index=0/0)")
                .mismatch(),
            "");
}

TEST(DominatorTree, DominatorsInsideAFoldedTree) {
  // a, b, c, d are entered once each, so only e is searched for; its dominator is b all the same, not the root.
  EXPECT_EQ(GraphText(R"(
    root r -> a
    a 16 -> b x
    b 16 -> c d
    c 16 -> e
    d 16 -> e f
    e 16 -> a
    f 16
    x 16
    dominators: process(r(a(b(c d(f) e) x)))
    retained: b=80/5 d=32/2 e=16/1)")
                .mismatch(),
            "");
}

TEST(DominatorTree, CircularDoublyLinkedList) {
  EXPECT_EQ(GraphText(R"(
    root r -> head
    head 16 -> n1 n4
    n1 16 -> n2 head
    n2 16 -> n3 n1
    n3 16 -> n4 n2
    n4 16 -> head n3
    dominators: process(r(head(n1 n2 n3 n4))))")
                .mismatch(),
            "");
}

TEST(DominatorTree, TheExampleOfLengauerAndTarjan) {
  EXPECT_EQ(GraphText(R"(
    root r -> a b c
    a 8 -> d
    b 8 -> a d e
    c 8 -> f g
    d 8 -> l
    e 8 -> h
    f 8 -> i
    g 8 -> i j
    h 8 -> e k
    i 8 -> k
    j 8 -> i
    k 8 -> i r2
    l 8 -> h
    r2 8
    dominators: process(r(a b c(f g(j)) d(l) e h i k(r2))))")
                .mismatch(),
            "");
}

TEST(DominatorTree, ChildrenByRetainedBytes) {
  GraphText text(R"(
    root r -> a b c d
    a 16
    b 32 -> e
    c 48
    d 16
    e 16)");
  Reachability reach = find_reachable(text.graph(), text.objects());
  DominatorTree tree = find_dominators(text.graph(), reach, text.objects());
  NodeId r = text.node("r");
  auto children = tree.children_of({r, text.node("e"), kProcessNode, r}, 3);
  ASSERT_EQ(children.size(), 4U);
  EXPECT_EQ(text.names(children[0]), "b c a") << "equal sizes by id";
  EXPECT_EQ(text.names(children[1]), "");
  EXPECT_EQ(text.names(children[2]), "r");
  EXPECT_EQ(children[3], children[0]);
  EXPECT_EQ(text.names(tree.children_of({r}, 9)[0]), "b c a d");
  EXPECT_TRUE(tree.children_of({r}, 0)[0].empty());
}

TEST(DominatorTree, SumsBeyond32Bits) {
  // Multiples of 8 below 32 GiB, odd sizes beyond 4 GiB, and more than any 32-bit unit holds.
  EXPECT_EQ(GraphText(R"(
    root r -> a
    a 8000000000 -> b
    b 8000000000
    retained: a=16000000000/2)")
                .mismatch(),
            "");
  EXPECT_EQ(GraphText(R"(
    root r -> a
    a 3000000001 -> b
    b 3000000001
    retained: a=6000000002/2)")
                .mismatch(),
            "");
  EXPECT_EQ(GraphText(R"(
    root r -> a
    a 40000000000 -> b
    b 40000000000
    retained: process=80000000000/2 b=40000000000/1)")
                .mismatch(),
            "");
}

// A sketch with `objects` objects of 16 bytes and one root that refers to the first.
class Shape {
 public:
  explicit Shape(uint32_t objects) : objects_(objects) {
    sketch_.first_object = 3;
    sketch_.sizes.assign(objects, 16);
    sketch_.rows.resize(objects + size_t{3});
    sketch_.add_edge(0, 2, EdgeKind::exact);
    link_root(0);
  }
  void link_root(uint32_t to) { sketch_.add_edge(2, 3 + to); }
  void link(uint32_t from, uint32_t to) {
    if (from < objects_ && to < objects_) sketch_.add_edge(3 + from, 3 + to);
  }
  // The object that dominates it; UINT32_MAX: the root.
  template <class F>
  void expect(F dominator) const {
    RetentionGraph graph = sketch_.graph();
    ObjectIndex objects = sketch_.objects();
    Reachability reach = find_reachable(graph, objects);
    DominatorTree tree = find_dominators(graph, reach, objects, 2);
    ASSERT_TRUE(tree.check(objects, graph, reach));
    ASSERT_EQ(tree.retained_objects({kProcessNode}, reach, graph).front(), objects_);
    for (uint32_t object = 0; object < objects_; ++object) {
      uint32_t expected = dominator(object);
      ASSERT_EQ(index(tree.immediate_dominator(NodeId{3 + object})), expected == UINT32_MAX ? 2 : 3 + expected)
          << "object " << object;
    }
  }
  uint32_t objects() const { return objects_; }

 private:
  uint32_t objects_;
  GraphSketch sketch_;
};

constexpr uint32_t kMillion = 1'000'000;
constexpr uint32_t kRoot = UINT32_MAX;

TEST(DominatorTreeShapes, SinglyLinkedList) {
  Shape shape(kMillion);
  for (uint32_t i = 0; i < kMillion; ++i) shape.link(i, i + 1);
  shape.expect([](uint32_t i) { return i == 0 ? kRoot : i - 1; });
}

TEST(DominatorTreeShapes, DoublyLinkedList) {
  Shape shape(kMillion);
  for (uint32_t i = 0; i < kMillion; ++i) {
    shape.link(i, i + 1);
    shape.link(i + 1, i);
  }
  shape.expect([](uint32_t i) { return i == 0 ? kRoot : i - 1; });
}

TEST(DominatorTreeShapes, DoublyLinkedListFromBothEnds) {
  Shape shape(kMillion);
  shape.link_root(kMillion - 1);
  for (uint32_t i = 0; i < kMillion; ++i) {
    shape.link(i, i + 1);
    shape.link(i + 1, i);
  }
  shape.expect([](uint32_t) { return kRoot; });
}

TEST(DominatorTreeShapes, DeepTreeWithParentPointers) {
  Shape shape(kMillion);  // a spine of even nodes, each with a leaf
  for (uint32_t i = 0; i < kMillion; i += 2) {
    shape.link(i, i + 1);
    shape.link(i, i + 2);
    shape.link(i + 1, i);
    shape.link(i + 2, i);
  }
  shape.expect([](uint32_t i) { return i == 0 ? kRoot : i % 2 == 1 ? i - 1 : i - 2; });
}

TEST(DominatorTreeShapes, Star) {
  Shape shape(kMillion);
  for (uint32_t i = 1; i < kMillion; ++i) {
    shape.link(0, i);
    shape.link(i, 0);
    shape.link(i, i + 1);
  }
  shape.expect([](uint32_t i) { return i == 0 ? kRoot : 0; });
}

TEST(DominatorTreeShapes, Ladder) {
  Shape shape(kMillion);  // two rails with rungs both ways
  for (uint32_t i = 0; i < kMillion; ++i) {
    shape.link(i, i + 2);
    shape.link(i, i ^ 1U);
  }
  // Everything beyond the first rung can be reached over the other rail.
  shape.expect([](uint32_t i) { return i == 0 ? kRoot : 0; });
}

TEST(DominatorTreeShapes, ChainOfDiamonds) {
  Shape shape(3 * (kMillion / 3));
  for (uint32_t i = 0; i < shape.objects(); i += 3) {
    shape.link(i, i + 1);
    shape.link(i, i + 2);
    shape.link(i + 1, i + 3);
    shape.link(i + 2, i + 3);
  }
  shape.expect([](uint32_t i) { return i == 0 ? kRoot : i % 3 == 0 ? i - 3 : i - i % 3; });
}

// What makes plain Semi-NCA quadratic: a long dominator chain, and below its end many objects that the root refers to
// as well. Each of them walks up the whole chain.
TEST(DominatorTreeShapes, ManyWalksUpALongChain) {
  constexpr uint32_t kChain = 3 * 100'000;
  Shape shape(kChain + 1 + 300'000);
  for (uint32_t i = 0; i < kChain; i += 3) {
    shape.link(i, i + 1);
    shape.link(i, i + 2);
    shape.link(i + 1, i + 3);
    shape.link(i + 2, i + 3);
  }
  // The chain comes first in the root's row, so the depth-first search reaches all of them through its end.
  for (uint32_t leaf = kChain + 1; leaf < shape.objects(); ++leaf) {
    shape.link(kChain, leaf);
    shape.link_root(leaf);
  }
  shape.expect([&](uint32_t i) { return i == 0 || i > kChain ? kRoot : i % 3 == 0 ? i - 3 : i - i % 3; });
}

// Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm", 2001: iterate to a fixpoint over reverse postorder.
std::vector<uint32_t> iterative_dominators(const RetentionGraph& graph, const Reachability& reach) {
  uint32_t nodes = graph.node_count();
  std::vector<uint32_t> postorder(nodes, UINT32_MAX);
  std::vector<uint32_t> sequence;
  std::vector<std::vector<uint32_t>> entries(nodes);
  auto admitted = [&](uint32_t from, uint32_t position) {
    NodeId to = graph.targets(NodeId{from})[position];
    return is_admitted(reach.stage_of(NodeId{from}), graph.kind(NodeId{from}, position), reach.stage_of(to));
  };
  std::vector<std::pair<uint32_t, uint32_t>> stack{{0, 0}};
  std::vector<bool> seen(nodes);
  seen[0] = true;
  while (!stack.empty()) {
    auto& [node, next] = stack.back();
    std::span<const NodeId> targets = graph.targets(NodeId{node});
    if (next == targets.size()) {
      postorder[node] = static_cast<uint32_t>(sequence.size());
      sequence.push_back(node);
      stack.pop_back();
      continue;
    }
    uint32_t from = node;
    uint32_t position = next++;
    if (!admitted(from, position)) continue;
    uint32_t to = index(targets[position]);
    entries[to].push_back(from);
    if (!seen[to]) stack.push_back({to, 0});
    seen[to] = true;
  }
  std::vector<uint32_t> idom(nodes, UINT32_MAX);
  idom[0] = 0;
  auto intersect = [&](uint32_t a, uint32_t b) {
    while (a != b) {
      while (postorder[a] < postorder[b]) a = idom[a];
      while (postorder[b] < postorder[a]) b = idom[b];
    }
    return a;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = sequence.size() - 1; i-- > 0;) {
      uint32_t node = sequence[i];
      uint32_t best = UINT32_MAX;
      for (uint32_t from : entries[node]) {
        if (idom[from] != UINT32_MAX) best = best == UINT32_MAX ? from : intersect(from, best);
      }
      changed |= idom[node] != best;
      idom[node] = best;
    }
  }
  idom[0] = UINT32_MAX;
  return idom;
}

TEST(DominatorTree, AgreesWithASecondImplementationAtScale) {
  for (uint32_t seed = 0; seed < 3; ++seed) {
    std::mt19937_64 random(seed);
    constexpr uint32_t kObjects = 200'000;
    GraphSketch sketch;
    sketch.first_object = 4;
    sketch.add_edge(0, 2, EdgeKind::exact);
    sketch.add_edge(0, 3, EdgeKind::exact);
    auto any = [&](uint64_t limit) { return static_cast<uint32_t>(random() % limit); };
    for (uint32_t i = 0; i < kObjects; ++i) {
      sketch.sizes.push_back(16 + any(5) * 8);
      uint32_t parent = i == 0 ? 0 : i - 1 - any(std::min<uint64_t>(i, seed == 0 ? 4 : 1000));
      sketch.add_edge(4 + parent, 4 + i, any(10) == 0 ? EdgeKind::tainted : EdgeKind::conservative);
      if (any(3) == 0) sketch.add_edge(4 + i, 4 + parent);
      if (any(4) == 0) sketch.add_edge(4 + i, 4 + std::min(kObjects - 1, i + any(50)), EdgeKind::exact);
      if (any(50) == 0) sketch.add_edge(4 + any(kObjects), 4 + i);
    }
    sketch.add_edge(2, 4);
    sketch.add_edge(3, 4 + kObjects / 2);
    RetentionGraph graph = sketch.graph();
    ObjectIndex objects = sketch.objects();
    Reachability reach = find_reachable(graph, objects);
    ASSERT_EQ(reach.leak_roots.size(), 0U);
    DominatorTree one = find_dominators(graph, reach, objects, 1);
    DominatorTree two = find_dominators(graph, reach, objects, 2);
    EXPECT_TRUE(one.check(objects, graph, reach));
    std::vector<uint32_t> expected = iterative_dominators(graph, reach);
    for (uint32_t node = 2; node < graph.node_count(); ++node) {
      ASSERT_EQ(index(one.immediate_dominator(NodeId{node})), expected[node]) << "node " << node;
      ASSERT_EQ(two.immediate_dominator(NodeId{node}), one.immediate_dominator(NodeId{node})) << "node " << node;
    }
  }
}

}  // namespace
}  // namespace heapwalk
