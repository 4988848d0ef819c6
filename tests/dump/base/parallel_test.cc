#include "dump/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace heapwalk {
namespace {

TEST(Parallel, EveryIndexRunsOnceForAnyNumberOfThreads) {
  for (size_t threads : {0U, 1U, 2U, 7U, 100U}) {
    std::vector<int> runs(1000);
    parallel_for(runs.size(), threads, [&](size_t i) { ++runs[i]; });
    for (int n : runs) ASSERT_EQ(n, 1) << threads << " threads";
  }
}

TEST(Parallel, OneThreadIsTheCallersInOrder) {
  std::vector<size_t> order;
  auto caller = std::this_thread::get_id();
  parallel_for(5, 1, [&](size_t i) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    order.push_back(i);
  });
  EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2, 3, 4}));
}

TEST(Parallel, NothingToDo) {
  std::atomic<int> runs = 0;
  parallel_for(0, 4, [&](size_t) { ++runs; });
  EXPECT_EQ(runs, 0);
  EXPECT_GE(available_cpus(), 1U);
}

}  // namespace
}  // namespace heapwalk
