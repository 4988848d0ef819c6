// Planted leaks are found exactly: every block that the program leaked, and nothing else.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "tests/support/heapwalk_command.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

const std::string kBinary = std::string(HEAPWALK_PROGRAMS_DIR) + "/planted_leaks";

using Blocks = std::map<uint64_t, uint64_t>;  // address → usable bytes

// `leak list 0x55… 56`
Blocks planted(const std::string& output) {
  Blocks blocks;
  std::istringstream lines(output);
  std::string word, shape, address;
  uint64_t size = 0;
  while (lines >> word >> shape >> address >> size) blocks[std::stoull(address, nullptr, 16)] = size;
  return blocks;
}

// `address  size  state …`, after one header line.
Blocks unreachable(const std::string& tsv) {
  Blocks blocks;
  std::istringstream lines(tsv);
  std::string line;
  std::getline(lines, line);
  EXPECT_TRUE(line.starts_with("address\tsize\tstate")) << line;
  while (std::getline(lines, line)) {
    std::istringstream cells(line);
    std::string address, size;
    std::getline(cells, address, '\t');
    std::getline(cells, size, '\t');
    blocks[std::stoull(address, nullptr, 16)] = std::stoull(size);
  }
  return blocks;
}

class PlantedLeaks : public ::testing::TestWithParam<const char*> {};

TEST_P(PlantedLeaks, AreFoundExactly) {
  const ProgramRun run({.arguments = {kBinary, GetParam()}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const Blocks expected = planted(run.output());
  ASSERT_EQ(expected.size(), 1293U);
  const CommandOutput result =
      run_heapwalk({"objects", run.core_path(), kBinary, "--reachable", "no", "--format", "tsv"});
  ASSERT_EQ(result.status, 0) << result.err;
  const Blocks found = unreachable(result.out);
  for (const auto& [address, size] : expected) EXPECT_TRUE(found.contains(address)) << "missed " << std::hex << address;
  for (const auto& [address, size] : found) {
    ASSERT_TRUE(expected.contains(address)) << "not leaked: " << std::hex << address << " of " << std::dec << size;
    EXPECT_EQ(size, expected.at(address)) << std::hex << address;
  }
}

TEST_P(PlantedLeaks, ThresholdExceededIsExitStatusThree) {
  const ProgramRun run({.arguments = {kBinary, GetParam()}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  uint64_t bytes = 0;
  for (const auto& [address, size] : planted(run.output())) bytes += size;
  EXPECT_EQ(run_heapwalk({"leaks", run.core_path(), kBinary, "--fail-over", std::to_string(bytes)}).status, 0);
  EXPECT_EQ(run_heapwalk({"leaks", run.core_path(), kBinary, "--fail-over", std::to_string(bytes - 1)}).status, 3);
}

INSTANTIATE_TEST_SUITE_P(From, PlantedLeaks, ::testing::Values("main", "thread"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace heapwalk::test
