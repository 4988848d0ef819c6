#include "dump/base/diagnostics.h"

#include <gtest/gtest.h>

namespace heapwalk {
namespace {

TEST(Diagnostics, SameTextIsOneEntry) {
  Diagnostics diagnostics;
  diagnostics.add("corrupt_chunk", "at 0x10");
  diagnostics.add("corrupt_chunk", "at 0x10", 2);
  diagnostics.add("other", "at 0x10");
  ASSERT_EQ(diagnostics.all().size(), 2U);
  EXPECT_EQ(diagnostics.all()[0].count, 3U);
  EXPECT_EQ(diagnostics.count("corrupt_chunk"), 3U);
}

TEST(Diagnostics, AMillionTextsAreFewEntriesAndNoneIsLost) {
  Diagnostics diagnostics;
  for (int i = 0; i < 1000; ++i) diagnostics.add("corrupt_chunk", "at " + std::to_string(i));
  EXPECT_EQ(diagnostics.all().size(), Diagnostics::kTextsPerCode);
  EXPECT_EQ(diagnostics.count("corrupt_chunk"), 1000U);
}

TEST(Diagnostics, MergeAddsCounts) {
  Diagnostics one;
  Diagnostics two;
  one.add("a", "x", 2);
  two.add("a", "x", 3);
  two.add("b", "y");
  one.merge(two);
  EXPECT_EQ(one.count("a"), 5U);
  EXPECT_EQ(one.count("b"), 1U);
}

TEST(Diagnostics, NothingIsNoEntry) {
  Diagnostics diagnostics;
  diagnostics.add("a", "x", 0);
  EXPECT_TRUE(diagnostics.all().empty());
}

}  // namespace
}  // namespace heapwalk
