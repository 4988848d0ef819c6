#include "heapwalk/profile_stacks.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <random>

#include "heapwalk/analysis.h"
#include "heapwalk/stack_trie.h"
#include "tests/support/analysis_builder.h"

namespace heapwalk::test {
namespace {

struct Sum {
  uint64_t bytes = 0, objects = 0;
  friend bool operator==(const Sum&, const Sum&) = default;
};

// Stacks root first, joined with " / ".
std::map<std::string, Sum> stacks_of(const ProfileStacks& stacks, const std::vector<ProfileSample>& samples) {
  std::map<std::string, Sum> result;
  for (const ProfileSample& sample : samples) {
    std::string name;
    for (size_t i = sample.frames.size(); i-- > 0;) {
      name += stacks.frames[sample.frames[i]].name + (i > 0 ? " / " : "");
    }
    result[name].bytes += sample.bytes;
    result[name].objects += sample.objects;
  }
  return result;
}

Sum total(const std::vector<ProfileSample>& samples) {
  Sum sum;
  for (const ProfileSample& sample : samples) {
    sum.bytes += sample.bytes;
    sum.objects += sample.objects;
  }
  return sum;
}

void expect_totals(const Analysis& analysis, const ProfileStacks& stacks) {
  Sum used{analysis.summary.totals.used_bytes, analysis.summary.totals.used_objects};
  EXPECT_EQ(total(stacks.by_dominator), used);
  EXPECT_EQ(total(stacks.by_path), used);
}

using Stacks = std::map<std::string, Sum>;

TEST(ProfileStacks, ListIsOneStackHoweverLong) {
  AnalysisBuilder builder;
  auto root = builder.root(RootKind::global, builder.owner(OwnerKind::module, "server"), "list");
  auto last = builder.object(24, "4Node");
  builder.refer(root, last);
  for (int i = 0; i < 50'000; ++i) {
    auto next = builder.object(24, "4Node");
    builder.refer(last, next);
    last = next;
  }
  Analysis analysis = builder.build();
  ProfileStacks stacks = FoldedStacks(analysis, 1).take(16'000);
  EXPECT_EQ(stacks_of(stacks, stacks.by_dominator), (Stacks{{"[global] list / Node", {50'001 * 24, 50'001}}}));
  EXPECT_EQ(stacks_of(stacks, stacks.by_path), (Stacks{{"[global] list / Node", {50'001 * 24, 50'001}}}));
  expect_totals(analysis, stacks);
}

// root ─ Tree ─┬─ Leaf (40 B) ─ Tree ─ Text: the second Tree leads back to the first
//              └─ Text (104 B)
TEST(ProfileStacks, RepeatedFramesCutBackToTheFirst) {
  AnalysisBuilder builder;
  auto root = builder.root(RootKind::global, builder.owner(OwnerKind::module, "server"), "tree", "src/tree.cc:7");
  auto top = builder.object(48, "4Tree"), leaf = builder.object(40, "4Leaf"), text = builder.object(104, "4Text");
  auto again = builder.object(48, "4Tree"), more = builder.object(104, "4Text");
  builder.refer(root, top).refer(top, leaf).refer(top, text).refer(leaf, again).refer(again, more);
  Analysis analysis = builder.build();
  ProfileStacks stacks = FoldedStacks(analysis, 1).take(16'000);
  EXPECT_EQ(stacks_of(stacks, stacks.by_dominator), (Stacks{{"[global] tree / Tree", {96, 2}},
                                                            {"[global] tree / Tree / Leaf", {40, 1}},
                                                            {"[global] tree / Tree / Text", {208, 2}}}));
  const ProfileFrame& frame = stacks.frames[stacks.by_dominator[0].frames.back()];
  EXPECT_EQ(frame.filename, "src/tree.cc");
  EXPECT_EQ(frame.start_line, 7);
  EXPECT_EQ(frame.line, 7);
}

// A cache and an index both hold the session: no root alone does. Its text it holds alone.
TEST(ProfileStacks, WhatSeveralRootsHoldIsShared) {
  AnalysisBuilder builder;
  auto server = builder.owner(OwnerKind::module, "server");
  auto cache = builder.root(RootKind::global, server, "cache"), index = builder.root(RootKind::tls, server, "index");
  auto session = builder.object(64, "7Session"), text = builder.object(104);
  builder.refer(cache, session).refer(index, session).refer(session, text);
  Analysis analysis = builder.build();
  ProfileStacks stacks = FoldedStacks(analysis, 2).take(16'000);
  EXPECT_EQ(stacks_of(stacks, stacks.by_dominator),
            (Stacks{{"[shared] / Session", {64, 1}}, {"[shared] / Session / [104 B]", {104, 1}}}));
  EXPECT_EQ(stacks_of(stacks, stacks.by_path),
            (Stacks{{"[global] cache / Session", {64, 1}}, {"[global] cache / Session / [104 B]", {104, 1}}}));
  EXPECT_EQ(stacks.by_dominator[0].labels.root_kind, "shared");
  EXPECT_EQ(stacks.by_path[0].labels.root_kind, "global");
}

// Left and Right both refer to Bottom: Top holds it, without a reference of its own.
TEST(ProfileStacks, ADominatorWithoutADirectReferenceSaysShared) {
  AnalysisBuilder builder;
  auto root = builder.root(RootKind::stack, builder.owner(OwnerKind::thread, "thread 4711 \"worker\""), "main");
  auto top = builder.object(16, "3Top"), left = builder.object(16, "4Left"), right = builder.object(16, "5Right");
  auto bottom = builder.object(16, "6Bottom");
  builder.refer(root, top).refer(top, left).refer(top, right).refer(left, bottom).refer(right, bottom);
  Analysis analysis = builder.build();
  ProfileStacks stacks = FoldedStacks(analysis, 1).take(16'000);
  EXPECT_EQ(stacks_of(stacks, stacks.by_dominator), (Stacks{{"[stack] main / Top", {16, 1}},
                                                            {"[stack] main / Top / Left", {16, 1}},
                                                            {"[stack] main / Top / Right", {16, 1}},
                                                            {"[stack] main / Top / Top.(shared) / Bottom", {16, 1}}}));
  EXPECT_EQ(stacks_of(stacks, stacks.by_path).count("[stack] main / Top / Left / Bottom"), 1U);
  for (const ProfileSample& sample : stacks.by_dominator) EXPECT_EQ(sample.labels.thread, "worker");
}

// Of several threads, in memory or in a register: the name is the variable's.
TEST(ProfileStacks, LocalsOfFramesFoldByFunctionAndVariable) {
  AnalysisBuilder builder;
  for (const char* name : {"thread 1 \"a\"", "thread 2 \"b\""}) {
    auto frame = builder.owner(OwnerKind::frame, "#4 serve(int)", builder.owner(OwnerKind::thread, name));
    builder.refer(builder.root(RootKind::register_, frame, "serve(int) local batch"), builder.object(32, "1T"));
    builder.refer(builder.root(RootKind::stack, frame, "serve(int) parameter req"), builder.object(48, "1U"));
  }
  Analysis analysis = builder.build();
  ProfileStacks stacks = FoldedStacks(analysis, 1).take(16'000);
  EXPECT_EQ(stacks_of(stacks, stacks.by_dominator), (Stacks{{"[register] serve(int) local batch / T", {64, 2}},
                                                            {"[stack] serve(int) parameter req / U", {96, 2}}}));
  std::map<std::string, uint64_t> by_thread;
  for (const ProfileSample& sample : stacks.by_dominator) by_thread[sample.labels.thread] += sample.bytes;
  EXPECT_EQ(by_thread, (std::map<std::string, uint64_t>{{"a", 80}, {"b", 80}}));
}

TEST(ProfileStacks, ARootThatHoldsWithoutReferringSaysShared) {
  AnalysisBuilder builder;
  auto root = builder.root(RootKind::global, builder.owner(OwnerKind::module, "server"), "pair");
  auto left = builder.object(16, "4Left"), right = builder.object(16, "5Right"), bottom = builder.object(16, "6Bottom");
  builder.refer(root, left).refer(root, right).refer(left, bottom).refer(right, bottom);
  Analysis analysis = builder.build();
  ProfileStacks stacks = FoldedStacks(analysis, 1).take(16'000);
  EXPECT_EQ(stacks_of(stacks, stacks.by_dominator).count("[global] pair / pair.(shared) / Bottom"), 1U);
}

// A leaked cycle, and a block that two leaks hold.
TEST(ProfileStacks, LeaksAreUnreachableInBothViews) {
  AnalysisBuilder builder;
  auto a = builder.object(48, "4Ring"), b = builder.object(48, "4Ring");
  auto x = builder.object(24, "1X"), y = builder.object(24, "1Y"), both = builder.object(104);
  builder.refer(a, b).refer(b, a).refer(x, both).refer(y, both);
  Analysis analysis = builder.build();
  ASSERT_EQ(analysis.summary.totals.leaked_objects, 5U);
  ProfileStacks stacks = FoldedStacks(analysis, 1).take(16'000);
  EXPECT_EQ(stacks_of(stacks, stacks.by_dominator), (Stacks{{"[unreachable] Ring / Ring", {96, 2}},
                                                            {"[unreachable] X / X", {24, 1}},
                                                            {"[unreachable] Y / Y", {24, 1}},
                                                            {"[unreachable] (shared) / [104 B]", {104, 1}}}));
  expect_totals(analysis, stacks);
  for (const ProfileSample& sample : stacks.by_path) EXPECT_EQ(sample.labels.root_kind, "unreachable");
}

TEST(ProfileStacks, LabelsAreAllocatorAndSizeClass) {
  AnalysisBuilder builder;
  auto root = builder.root(RootKind::register_, builder.owner(OwnerKind::thread, "thread 1"), "rbx");
  for (uint64_t size : {24, 32, 40, 64, 72}) builder.refer(root, builder.object(size, "1T"));
  Analysis analysis = builder.build();
  ProfileStacks stacks = FoldedStacks(analysis, 1).take(16'000);
  std::map<uint64_t, uint64_t> objects;
  for (const ProfileSample& sample : stacks.by_dominator) {
    EXPECT_EQ(sample.labels.allocator, "glibc");
    EXPECT_EQ(sample.labels.root_kind, "register");
    EXPECT_EQ(sample.labels.thread, "");
    EXPECT_EQ(stacks.frames[sample.frames.back()].name, "[register]");
    objects[sample.labels.size_class_bytes] += sample.objects;
  }
  EXPECT_EQ(objects, (std::map<uint64_t, uint64_t>{{32, 2}, {64, 2}, {128, 1}}));
}

// A heap of 3,000 roots and 40,000 objects with random references, cut to ever fewer samples.
TEST(ProfileStacks, NoByteIsLostHoweverFewSamples) {
  std::mt19937 random(1);
  AnalysisBuilder builder;
  auto server = builder.owner(OwnerKind::module, "server");
  std::vector<AnalysisBuilder::RootRef> roots;
  roots.reserve(3'000);
  for (int i = 0; i < 3'000; ++i) roots.push_back(builder.root(RootKind::global, server, "g" + std::to_string(i)));
  std::vector<AnalysisBuilder::ObjectRef> objects;
  for (int i = 0; i < 40'000; ++i) {
    objects.push_back(builder.object(8 * (2 + random() % 120)));
    if (i % 7 == 0) builder.refer(roots[random() % roots.size()], objects.back());
    if (i > 0 && i % 11 != 0) builder.refer(objects[random() % static_cast<unsigned>(i)], objects.back());
  }
  Analysis analysis = builder.build();
  FoldedStacks folded(analysis, 2);
  size_t before = SIZE_MAX;
  for (size_t limit : {1'000'000, 16'000, 1'000, 100, 10, 2}) {
    ProfileStacks stacks = folded.take(limit);
    size_t samples = stacks.by_dominator.size() + stacks.by_path.size();
    EXPECT_LE(samples, limit);
    EXPECT_LE(samples, before);
    if (before != SIZE_MAX) {
      EXPECT_GE(samples, limit / 2) << "samples that were allowed are used";
    }
    before = samples;
    expect_totals(analysis, stacks);
  }
}

// What is kept is the same as in the full profile; only leaves move into "(other)" below their own parent.
TEST(ProfileStacks, FoldingKeepsCumulativeValues) {
  std::mt19937 random(2);
  AnalysisBuilder builder;
  auto server = builder.owner(OwnerKind::module, "server");
  for (int i = 0; i < 200; ++i) {
    auto object = builder.object(8 * (2 + random() % 100));
    builder.refer(builder.root(RootKind::global, server, "g" + std::to_string(i)), object);
    for (int j = 0; j < 20; ++j) builder.refer(object, builder.object(8 * (2 + random() % 100)));
  }
  Analysis analysis = builder.build();
  FoldedStacks folded(analysis, 1);
  auto cumulative = [](const ProfileStacks& stacks) {
    std::map<std::string, uint64_t> by_root;
    for (const ProfileSample& s : stacks.by_dominator) by_root[stacks.frames[s.frames.back()].name] += s.bytes;
    return by_root;
  };
  auto all = cumulative(folded.take(1'000'000));
  EXPECT_EQ(all.size(), 200U);
  for (const auto& [root, bytes] : cumulative(folded.take(1'000))) {
    if (root != "(other)") {
      EXPECT_EQ(bytes, all[root]) << root;
    }
  }
}

TEST(ProfileStacks, SameForAnyThreadCount) {
  AnalysisBuilder builder;
  auto root = builder.root(RootKind::global, builder.owner(OwnerKind::module, "server"), "all");
  for (int i = 0; i < 5'000; ++i) builder.refer(root, builder.object(static_cast<uint64_t>(16 + 8 * (i % 50))));
  Analysis analysis = builder.build();
  ProfileStacks one = FoldedStacks(analysis, 1).take(100), four = FoldedStacks(analysis, 4).take(100);
  EXPECT_EQ(one.frames, four.frames);
  ASSERT_EQ(one.by_dominator.size(), four.by_dominator.size());
  for (size_t i = 0; i < one.by_dominator.size(); ++i)
    EXPECT_EQ(one.by_dominator[i].frames, four.by_dominator[i].frames);
}

TEST(ProfileStacks, AnEmptyHeapHasNoSamples) {
  Analysis analysis = AnalysisBuilder().build();
  ProfileStacks stacks = FoldedStacks(analysis, 1).take(16'000);
  EXPECT_TRUE(stacks.by_dominator.empty());
  EXPECT_TRUE(stacks.by_path.empty());
}

TEST(StackTrie, BoundedInSizeAndDepth) {
  StackTrie trie(1'000);
  std::mt19937 random(3);
  uint32_t node = StackTrie::kTop;
  for (uint32_t i = 0; i < 100'000; ++i) {
    node = trie.child(i % 500 == 0 ? StackTrie::kTop : node, i % 7'919);
    trie.add(node, static_cast<uint32_t>(random() % 30), 8);
  }
  EXPECT_LE(trie.size(), 2'002U);
  trie.finish();
  uint64_t bytes = 0, objects = 0;
  size_t deepest = 0;
  for (const StackTrie::Sample& sample : trie.samples(trie.size())) {
    bytes += sample.values.bytes;
    objects += sample.values.objects;
    deepest = std::max(deepest, sample.frames.size());
  }
  EXPECT_EQ(bytes, 800'000U);
  EXPECT_EQ(objects, 100'000U);
  EXPECT_LE(deepest, StackTrie::kMaxDepth + 2);
}

}  // namespace
}  // namespace heapwalk::test
