#include "heapwalk/path_finder.h"

#include <gtest/gtest.h>

#include "tests/support/graph_text.h"

namespace heapwalk {
namespace {

bool nothing(NodeId) {
  return false;
}

class Paths {
 public:
  explicit Paths(std::string_view text) : text_(text), reach_(find_reachable(text_.graph(), text_.objects())) {}

  std::string shortest(std::string_view object) const {
    return text_.names(shortest_path(text_.graph(), reach_, text_.node(object)));
  }
  std::string all(std::string_view object, size_t limit = 10, std::string_view avoided = "process") const {
    std::string result;
    NodeId avoid = text_.node(avoided);
    for (const auto& path :
         root_paths(text_.graph(), reach_, text_.node(object), limit, [&](NodeId node) { return node == avoid; })) {
      result += (result.empty() ? "" : " | ") + text_.names(path);
    }
    return result;
  }
  const GraphText& text() const { return text_; }

 private:
  GraphText text_;
  Reachability reach_;
};

constexpr std::string_view kDiamond = R"(
    owner module
    root near in module -> b
    root far -> a
    root also -> a b
    root unrelated -> z
    a 16 -> b
    b 16 -> target
    c 16 -> target
    target 16 -> c
    z 16
    lost 16 -> target)";

TEST(PathFinder, ShortestPathBeginsAtTheRoot) {
  Paths paths(kDiamond);
  EXPECT_EQ(paths.shortest("target"), "also b target");  // one owner nearer than `near`
  EXPECT_EQ(paths.shortest("c"), "also b target c");
  EXPECT_EQ(paths.shortest("lost"), "");
  EXPECT_EQ(paths.shortest("near"), "");
}

TEST(PathFinder, OnePathPerRootShortestFirst) {
  Paths paths(kDiamond);
  EXPECT_EQ(paths.all("target"), "near b target | also b target | far a b target");
  EXPECT_EQ(paths.all("target", 2), "near b target | also b target");
  EXPECT_EQ(paths.all("target", 0), "");
  EXPECT_EQ(paths.all("target", 10, "near"), "also b target | far a b target");
  EXPECT_EQ(paths.all("target", 10, "b"), "") << "every path runs through b";
  EXPECT_EQ(paths.all("target", 10, "target"), "");
  EXPECT_EQ(paths.all("lost"), "");
}

TEST(PathFinder, OnlyAdmittedEdgesCount) {
  Paths paths(R"(
    root owner -> !a
    root junk -> b
    a 16 -> !b
    b 16)");
  EXPECT_EQ(paths.all("b"), "owner a b");
}

TEST(PathFinder, ReferrersInOnePass) {
  GraphText text(kDiamond);
  std::vector<NodeId> targets{text.node("b"), text.node("target")};
  std::string found;
  for (const Referrer& referrer : find_referrers(text.graph(), targets, 100)) {
    found += text.name(referrer.from) + ">" + text.name(referrer.to) + " ";
    EXPECT_EQ(referrer.kind, EdgeKind::conservative);
  }
  EXPECT_EQ(found, "near>b also>b a>b b>target c>target lost>target ");
  EXPECT_EQ(find_referrers(text.graph(), targets, 2).size(), 2U);
  EXPECT_TRUE(find_referrers(text.graph(), {}, 2).empty());
}

TEST(PathFinder, ALongListIsOnePath) {
  constexpr uint32_t kNodes = 250'000;
  GraphSketch sketch;
  sketch.first_object = 3;
  sketch.add_edge(0, 2, EdgeKind::exact);
  for (uint32_t i = 0; i < kNodes; ++i) {
    sketch.sizes.push_back(16);
    sketch.add_edge(2 + i, 3 + i);
  }
  RetentionGraph graph = sketch.graph();
  Reachability reach = find_reachable(graph, sketch.objects());
  NodeId last{2 + kNodes};
  EXPECT_EQ(shortest_path(graph, reach, last).size(), kNodes + 1U);
  auto paths = root_paths(graph, reach, last, 3, nothing);
  ASSERT_EQ(paths.size(), 1U);
  EXPECT_EQ(paths[0], shortest_path(graph, reach, last));
}

}  // namespace
}  // namespace heapwalk
