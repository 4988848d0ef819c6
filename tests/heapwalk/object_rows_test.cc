#include "heapwalk/object_rows.h"

#include <gtest/gtest.h>

#include "tests/support/analysis_builder.h"

namespace heapwalk::test {
namespace {

class ObjectRows : public ::testing::Test {
 protected:
  ObjectRows() {
    AnalysisBuilder builder;
    auto server = builder.owner(OwnerKind::module, "server");
    auto cache = builder.root(RootKind::global, server, "cache");
    auto other = builder.root(RootKind::global, server, "other");
    for (int i = 0; i < 100; ++i) {
      auto object = builder.object(static_cast<uint64_t>(16 + 8 * (i * 37 % 100)), i % 10 == 0 ? "7Session" : "");
      if (i % 3 != 2) builder.refer(i % 3 == 0 ? cache : other, object);  // the rest is leaked
    }
    builder.object(5000, "", AllocationState::free);
    analysis_ = builder.build();
  }
  std::vector<ObjectRow> rows(const ObjectQuery& query) const {
    std::vector<ObjectRow> result;
    for_each_object_row(analysis_, query, [&](const ObjectRow& row) {
      result.push_back(row);
      return true;
    });
    return result;
  }
  Analysis analysis_;
};

TEST_F(ObjectRows, DefaultIsEveryUsedBlockInAddressOrder) {
  std::vector<ObjectRow> all = rows({});
  ASSERT_EQ(all.size(), 100U);
  uint64_t bytes = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    bytes += all[i].size_bytes;
    if (i > 0) {
      EXPECT_LT(all[i - 1].address, all[i].address);
    }
    EXPECT_EQ(all[i].root, i % 3 == 0 ? "cache" : i % 3 == 1 ? "other" : "");
    EXPECT_EQ(all[i].reachable, i % 3 != 2);
    EXPECT_EQ(all[i].retained_bytes, all[i].size_bytes);
    EXPECT_EQ(all[i].allocator, "glibc");
  }
  EXPECT_EQ(bytes, analysis_.summary.totals.used_bytes);
}

TEST_F(ObjectRows, FiltersSelectAndCombine) {
  ObjectQuery sessions, leaked, live_sessions, large, unknown, free;
  sessions.type = live_sessions.type = "Session";
  leaked.reachable = false;
  live_sessions.reachable = true;
  large.min_size_bytes = 16 + 8 * 50;
  unknown.type = "no such type";
  free.states = {false, true, false, false, false};
  EXPECT_EQ(rows(sessions).size(), 10U);
  EXPECT_EQ(rows(leaked).size(), 33U);
  EXPECT_EQ(rows(live_sessions).size(), 7U);
  EXPECT_EQ(rows(large).size(), 50U);
  EXPECT_EQ(rows(unknown).size(), 0U);
  ASSERT_EQ(rows(free).size(), 1U);
  EXPECT_EQ(rows(free)[0].size_bytes, 5000U);
  EXPECT_EQ(rows(free)[0].type, "");
  EXPECT_FALSE(rows(free)[0].reachable);
}

TEST_F(ObjectRows, SortsDescendingTiesByAddressAndLimits) {
  for (uint64_t limit : {0, 1, 7, 99, 100, 1000}) {
    ObjectQuery by_size, by_address;
    by_size.sort = ObjectQuery::Sort::size;
    by_size.limit = by_address.limit = limit;
    std::vector<ObjectRow> sorted = rows(by_size);
    ASSERT_EQ(sorted.size(), limit == 0 ? 100 : std::min<uint64_t>(limit, 100));
    EXPECT_EQ(sorted[0].size_bytes, 16U + 8 * 99);
    for (size_t i = 1; i < sorted.size(); ++i) EXPECT_GE(sorted[i - 1].size_bytes, sorted[i].size_bytes);
    EXPECT_EQ(rows(by_address).size(), sorted.size());
  }
  ObjectQuery by_retained;
  by_retained.sort = ObjectQuery::Sort::retained;
  by_retained.limit = 3;
  EXPECT_EQ(rows(by_retained)[2].size_bytes, 16U + 8 * 97);
}

TEST_F(ObjectRows, StopsWhenTheVisitorHasEnough) {
  int visited = 0;
  for_each_object_row(analysis_, {}, [&](const ObjectRow&) { return ++visited < 5; });
  EXPECT_EQ(visited, 5);
}

}  // namespace
}  // namespace heapwalk::test
