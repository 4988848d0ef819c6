#include "heapwalk/show.h"

#include <gtest/gtest.h>

#include "tests/support/analysis_builder.h"

namespace heapwalk::test {
namespace {

constexpr Address kFirst{0x10000010};  // where AnalysisBuilder puts its first object

class Show : public ::testing::Test {
 protected:
  Show() : server_(builder_.owner(OwnerKind::module, "server")) {
    auto cache = builder_.root(RootKind::global, server_, "cache");
    auto session = builder_.object(64, "7Session");
    auto text = builder_.object(128);
    auto freed = builder_.object(24, "", AllocationState::cached);
    auto leaked = builder_.object(40, "7Request");
    (void)freed;
    builder_.refer(cache, session, EdgeKind::exact).refer(session, text, EdgeKind::tainted).refer(leaked, session);
    for (int i = 0; i < 3; ++i) builder_.refer(builder_.object(16, "4Peer"), text);
  }
  Result<ShowAnswer> show(Address address, uint64_t limit = 20) {
    analysis_ = builder_.build();
    return show_object(analysis_, address, limit);
  }
  AnalysisBuilder builder_;
  AnalysisBuilder::OwnerRef server_;
  Analysis analysis_;
};

TEST_F(Show, AnObjectAndItsNeighbours) {
  auto answer = show(kFirst + 20);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->object.address, kFirst);
  EXPECT_EQ(answer->object.size_bytes, 64U);
  EXPECT_EQ(answer->allocator, "glibc");
  EXPECT_EQ(answer->type, "Session");
  EXPECT_EQ(answer->evidence, TypeEvidence::runtime);
  EXPECT_EQ(answer->stage, Stage::exact);
  EXPECT_EQ(answer->retained_bytes, 64U + 128U);
  EXPECT_EQ(answer->retained_objects, 2U);
  ASSERT_EQ(answer->referrers.size(), 2U);
  EXPECT_EQ(answer->referrers[0].name, "cache");
  EXPECT_EQ(answer->referrers[0].kind, "global");
  EXPECT_EQ(answer->referrers[0].edge, EdgeKind::exact);
  EXPECT_EQ(answer->referrers[1].name, "Request");
  EXPECT_EQ(answer->referrers[1].kind, "");
  EXPECT_EQ(answer->referrers[1].size_bytes, 40U);
  ASSERT_EQ(answer->references.size(), 1U);
  EXPECT_EQ(answer->references[0].edge, EdgeKind::tainted);
  ASSERT_TRUE(answer->dominator.has_value());
  EXPECT_EQ(answer->dominator.value_or(decltype(answer->dominator)::value_type{}).name, "cache");
}

TEST_F(Show, WithoutATypeItsFirstBytes) {
  auto answer = show(kFirst);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer->fields.empty());
  ASSERT_EQ(answer->bytes.size(), 64U);
  EXPECT_EQ(answer->bytes[2], 0x40) << "the vtable pointer";
}

TEST_F(Show, ManyNeighboursAreCountedAndCut) {
  auto answer = show(kFirst + 80, 2);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->object.size_bytes, 128U);
  EXPECT_EQ(answer->referrer_count, 4U);
  EXPECT_EQ(answer->referrers.size(), 2U);
  EXPECT_EQ(show(kFirst + 80, 0)->referrers.size(), 4U);
}

TEST_F(Show, AFreedBlockHasNoNeighbours) {
  Analysis analysis = builder_.build();
  Address freed;
  analysis.objects.for_each([&](ObjectId, Address address, uint64_t, AllocationState state) {
    if (state == AllocationState::cached) freed = address;
  });
  auto answer = show(freed);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->object.state, AllocationState::cached);
  EXPECT_EQ(answer->type, "");
  EXPECT_EQ(answer->stage, Stage::none);
  EXPECT_EQ(answer->referrer_count + answer->reference_count, 0U);
  EXPECT_EQ(answer->bytes.size(), 24U);
}

TEST_F(Show, AnAddressOutsideIsAnError) {
  auto answer = show(Address{0x20});
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find("0x20"), std::string::npos);
}

}  // namespace
}  // namespace heapwalk::test
