#include "heapwalk/suspects.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/analysis_builder.h"

namespace heapwalk::test {
namespace {

SuspectRow first_suspect(const AnalysisBuilder& builder) {
  const Analysis analysis = builder.build();
  const std::vector<uint64_t> head_objects(analysis.graph.node_count());
  const std::vector<SuspectRow> rows = find_suspects(analysis, head_objects, 3);
  return rows.empty() ? SuspectRow{} : rows.front();
}

// Two threads work for the server that a variable leads to; the variable is what a person looks for.
TEST(Suspects, OfASharedObjectTheVariableIsNamedFirst) {
  AnalysisBuilder builder;
  const auto module = builder.owner(OwnerKind::module, "app");
  const auto thread = builder.owner(OwnerKind::thread, "thread 1");
  const auto global = builder.root(RootKind::global, module, "current", "app.cc:7");
  const auto first = builder.root(RootKind::stack, thread, "local a"),
             second = builder.root(RootKind::stack, thread, "local b");
  const auto handle = builder.object(24, "6Handle"), server = builder.object(64, "6Server");
  const auto buffer = builder.object(4096, "6Buffer");
  builder.refer(first, server).refer(second, server).refer(global, handle).refer(handle, server).refer(server, buffer);
  const SuspectRow row = first_suspect(builder);
  EXPECT_EQ(row.kind, "shared");
  EXPECT_EQ(row.name, "Server");
  EXPECT_EQ(
      row.text.find("`current` (global, app, app.cc:7) and 2 others (`local a` (stack, thread 1), `local b` (stack"),
      0U)
      << row.text;
  EXPECT_NE(row.text.find("hold 4.06kB in 2 allocations, 99.4 % of the heap, all of it through one Server"),
            std::string::npos)
      << row.text;
}

// cache ─ Map ─ 4 × Table ─ Group ─ 100 × Session: the sessions are the news.
TEST(Suspects, FewPartsAreLookedInto) {
  AnalysisBuilder builder;
  const auto cache = builder.root(RootKind::global, builder.owner(OwnerKind::module, "app"), "cache");
  const auto map = builder.object(48, "3Map");
  builder.refer(cache, map);
  for (int table = 0; table < 4; ++table) {
    const auto head = builder.object(32, "5Table"), group = builder.object(800, "5Group");
    builder.refer(map, head).refer(head, group);
    for (int i = 0; i < 100; ++i) builder.refer(group, builder.object(104, "7Session"));
  }
  const SuspectRow row = first_suspect(builder);
  EXPECT_TRUE(row.text.ends_with("92 % of it by 400 Session")) << row.text;
  EXPECT_EQ(row.type, "Session");
}

// What does not spread says more at the top: three shards, each with its buffer.
TEST(Suspects, FewPartsAreTheAnswerWhereNothingSpreads) {
  AnalysisBuilder builder;
  const auto shards = builder.root(RootKind::global, builder.owner(OwnerKind::module, "app"), "shards");
  for (int i = 0; i < 3; ++i) {
    const auto shard = builder.object(40, "5Shard");
    builder.refer(shards, shard).refer(shard, builder.object(1000, "6Buffer"));
  }
  const SuspectRow row = first_suspect(builder);
  EXPECT_TRUE(row.text.ends_with("100 % of it by 3 Shard")) << row.text;
}

}  // namespace
}  // namespace heapwalk::test
