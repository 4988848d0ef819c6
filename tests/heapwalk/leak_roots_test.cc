#include "heapwalk/leak_roots.h"

#include <gtest/gtest.h>

#include "tests/support/graph_text.h"

namespace heapwalk {
namespace {

std::string sources(const GraphText& text, std::initializer_list<std::string_view> names) {
  std::vector<NodeId> nodes;
  for (std::string_view name : names) nodes.push_back(text.node(name));
  return text.names(find_source_nodes(text.graph(), nodes));
}

TEST(LeakRoots, OneNodeOfEachSourceComponent) {
  GraphText text(R"(
    a 16 -> b
    b 16 -> a c
    c 16 -> d
    d 16 -> c
    e 16
    f 16 -> g
    g 16 -> h
    h 16 -> f c)");
  EXPECT_EQ(sources(text, {"a", "b", "c", "d", "e", "f", "g", "h"}), "a e f");
  EXPECT_EQ(sources(text, {"c", "d"}), "c") << "only edges inside the set count";
  EXPECT_EQ(sources(text, {}), "");
}

TEST(LeakRoots, ALowerCycleBelowAHigherOneIsNoRoot) {
  GraphText text(R"(
    a 16 -> b
    b 16 -> a
    c 16 -> d
    d 16 -> c a)");
  EXPECT_EQ(sources(text, {"a", "b", "c", "d"}), "c");
  EXPECT_EQ(GraphText(R"(
    a 16 -> b
    b 16 -> a
    c 16 -> d
    d 16 -> c a
    leak roots: c
    dominators: process unreachable(c(d(a(b))))
    retained: c=64/4 a=32/2 unreachable=64/4 process=0/0)")
                .mismatch(),
            "");
}

TEST(LeakRoots, CyclesListsAndWhatIsLive) {
  EXPECT_EQ(GraphText(R"(
    root r -> live
    live 16 -> below
    below 8
    head 16 -> next
    next 16 -> tail live
    tail 16
    x 24 -> y
    y 24 -> z
    z 24 -> x
    lone 40
    unused 64 free
    leak roots: head x lone
    stages: exact(r) conservative(live below) leaked(head next tail x y z lone)
    dominators: process(r(live(below))) unreachable(head(next(tail)) x(y(z)) lone)
    retained: unreachable=160/7 process=24/2 x=72/3)")
                .mismatch(),
            "");
}

TEST(LeakRoots, AThousandNodeCycle) {
  GraphSketch sketch;
  for (uint32_t i = 0; i < 1000; ++i) {
    sketch.sizes.push_back(16);
    sketch.add_edge(2 + i, 2 + (i + 617) % 1000);
  }
  Reachability reach = find_reachable(sketch.graph(), sketch.objects());
  ASSERT_EQ(reach.leak_roots, std::vector<NodeId>{NodeId{2}});
  EXPECT_EQ(reach.order.size(), 1002U);
}

}  // namespace
}  // namespace heapwalk
