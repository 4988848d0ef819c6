// Goroutines that nothing can wake are found, and none that something can.
#include <gtest/gtest.h>

#include <map>

#include "tests/support/go_source_run.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"

namespace heapwalk::test {
namespace {

TEST(GoStuck, AreThoseThatOnlyTheirOwnChannelsCouldWake) {
  GoSourceRun run("stuck");
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const CommandOutput output = run_heapwalk({"report", run.dump().path, run.binary(), "--format", "json"});
  ASSERT_EQ(output.status, 0) << output.err;
  const Json report = parse_json(output.out);
  std::map<std::string, uint64_t> by_state;
  uint64_t held_by_receivers = 0;
  for (const Json& row : report["stuck"].items()) {
    const std::string state = row["state"].text();  // Go 1.19 says "semacquire" of a mutex
    by_state[state == "semacquire" ? "sync.Mutex.Lock" : state] += row["count"].number();
    if (row["state"].text() == "chan receive") held_by_receivers += row["retained_bytes"].number();
  }
  const std::map<std::string, uint64_t> wanted = {
      {"chan receive", 5 + 1}, {"select", 3}, {"chan receive (nil chan)", 2}, {"sync.Mutex.Lock", 1}};
  EXPECT_EQ(by_state, wanted) << output.out.substr(0, 200);
  EXPECT_GE(held_by_receivers, 5 * (64U << 10));
}

}  // namespace
}  // namespace heapwalk::test
