#include "heapwalk/why_type.h"

#include <gtest/gtest.h>

#include "tests/support/analysis_builder.h"

namespace heapwalk::test {
namespace {

// "cache → Node ×3 → Session: 2 objects, 128 B, 192 B"
std::string line(const MergedPath& merged) {
  std::string text;
  for (const PathStep& step : merged.path.steps) {
    if (!text.empty()) text += " → ";
    text += step.type;
    if (step.repeat > 1) text += fmt::format(" ×{}", step.repeat);
  }
  return text + fmt::format(": {} objects, {} B, {} B", merged.path.count, merged.bytes, merged.path.retained_bytes);
}

std::vector<std::string> lines(const WhyTypeAnswer& answer) {
  std::vector<std::string> all;
  all.reserve(answer.paths.size());
  for (const MergedPath& path : answer.paths) all.push_back(line(path));
  return all;
}

using Lines = std::vector<std::string>;

class WhyType : public ::testing::Test {
 protected:
  WhyType() : server_(builder_.owner(OwnerKind::module, "server")) {}
  AnalysisBuilder::RootRef root(const char* name) { return builder_.root(RootKind::global, server_, name); }
  WhyTypeAnswer explain(std::string_view type, const WhyOptions& options = {}) {
    Analysis analysis = builder_.build();
    return explain_type(analysis, type, options);
  }
  AnalysisBuilder builder_;
  AnalysisBuilder::OwnerRef server_;
};

TEST_F(WhyType, OnePathPerSequenceOfTypes) {
  auto cache = root("cache"), other = root("other");
  auto node = builder_.object(24, "4Node");
  builder_.refer(cache, node);
  for (int i = 0; i < 5; ++i) {
    auto session = builder_.object(64, "7Session");
    builder_.refer(node, session).refer(session, builder_.object(104));
    auto next = builder_.object(24, "4Node");
    builder_.refer(node, next);
    node = next;
  }
  builder_.refer(other, builder_.object(64, "7Session"));
  WhyTypeAnswer answer = explain("Session");
  EXPECT_EQ(answer.targets, 6U);
  EXPECT_EQ(answer.bytes, 6U * 64);
  EXPECT_EQ(answer.retained_bytes, 6U * 64 + 5U * 104);
  EXPECT_EQ(answer.path_count, 2U);
  EXPECT_EQ(lines(answer),
            (Lines{"cache → Node ×5 → Session: 5 objects, 320 B, 840 B", "other → Session: 1 objects, 64 B, 64 B"}));
}

TEST_F(WhyType, RetainedBytesCountOnceInsideTheType) {
  auto head = builder_.object(24, "4Node"), last = head;
  builder_.refer(root("list"), head);
  for (int i = 0; i < 99; ++i) {
    auto next = builder_.object(24, "4Node");
    builder_.refer(last, next);
    last = next;
  }
  WhyTypeAnswer answer = explain("Node");
  EXPECT_EQ(answer.retained_bytes, 2400U);
  EXPECT_EQ(lines(answer), Lines{"list → Node ×100: 100 objects, 2400 B, 2400 B"});
}

TEST_F(WhyType, LeakedObjectsAreCountedAsSuch) {
  builder_.refer(root("cache"), builder_.object(64, "7Session"));
  builder_.object(64, "7Session");
  WhyTypeAnswer answer = explain("Session");
  EXPECT_EQ(answer.targets, 2U);
  EXPECT_EQ(answer.leaked_objects, 1U);
  EXPECT_EQ(answer.leaked_bytes, 64U);
  EXPECT_EQ(answer.avoided_objects, 0U);
  EXPECT_EQ(lines(answer).size(), 1U);
}

TEST_F(WhyType, AvoidFindsTheWayRound) {
  auto cache = root("cache");
  auto direct = builder_.object(64, "7Session"), held = builder_.object(64, "7Session");
  auto node = builder_.object(24, "4Node"), index = builder_.object(40, "5Index"), step = builder_.object(40, "4Step");
  builder_.refer(cache, node).refer(node, direct).refer(node, held);
  builder_.refer(cache, index).refer(index, step).refer(step, held);
  EXPECT_EQ(lines(explain("Session")), Lines{"cache → Node → Session: 2 objects, 128 B, 128 B"});
  WhyTypeAnswer answer = explain("Session", {.avoid = "Node"});
  EXPECT_EQ(lines(answer), Lines{"cache → Index → Step → Session: 1 objects, 64 B, 64 B"});
  EXPECT_EQ(answer.avoided_objects, 1U);
  EXPECT_EQ(answer.avoided_bytes, 64U);
  EXPECT_EQ(explain("Session", {.avoid = "cache"}).avoided_objects, 2U);
  EXPECT_EQ(explain("Session", {.avoid = "Session"}).path_count, 0U);
}

// Two types that alternate are one line too, and what does not fold is shown at its shortest.
TEST_F(WhyType, AlternatingTypesAreOneLine) {
  auto even = builder_.object(24, "4Even");
  builder_.refer(root("list"), even);
  for (int i = 0; i < 200; ++i) {
    auto odd = builder_.object(24, "3Odd");
    builder_.refer(even, odd);
    even = builder_.object(24, "4Even");
    builder_.refer(odd, even);
  }
  EXPECT_EQ(lines(explain("Odd")), Lines{"list → Even → Odd: 200 objects, 4800 B, 9600 B"});
}

TEST_F(WhyType, MostBytesFirstAndNoMoreThanAsked) {
  for (uint64_t i = 1; i <= 4; ++i)
    builder_.refer(root(fmt::format("root{}", i).c_str()), builder_.object(64 * i, "1T"));
  WhyTypeAnswer answer = explain("T", {.paths = 2, .avoid = ""});
  EXPECT_EQ(lines(answer), (Lines{"root4 → T: 1 objects, 256 B, 256 B", "root3 → T: 1 objects, 192 B, 192 B"}));
  EXPECT_EQ(answer.path_count, 4U);
}

TEST_F(WhyType, AnUnknownTypeHasNoObjects) {
  builder_.refer(root("cache"), builder_.object(64, "7Session"));
  WhyTypeAnswer answer = explain("Sessio");
  EXPECT_EQ(answer.targets, 0U);
  EXPECT_TRUE(answer.paths.empty());
}

}  // namespace
}  // namespace heapwalk::test
