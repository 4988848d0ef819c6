// Cores of programs that damaged their own heap before they died, and cores that are cut off: what the damage did not
// reach is exact, and the rest is said to be lost.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/live_set.h"
#include "tests/support/run_program.h"

namespace heapwalk {
namespace {

namespace fs = std::filesystem;

std::string program(const std::string& name) {
  return std::string(HEAPWALK_PROGRAMS_DIR) + "/" + name;
}

RunOptions recorded(const std::string& mode) {
  RunOptions options;
  options.arguments = {program("alloc_truth"), mode};
  options.environment = {{"LD_PRELOAD", program("libtruth.so")}};
  return options;
}

bool is_lost(const Truth& truth, Address address) {
  return std::ranges::find(truth.lost, address) != truth.lost.end();
}

// Only the blocks whose headers are gone differ, every corrupt chunk has its diagnostic, the bytes are unexplained.
void expect_only_the_lost_differ(const std::string& mode, uint64_t breaks, uint64_t most_unexplained) {
  ProgramRun run(recorded(mode));
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_FALSE(run.core_path().empty()) << run.error();
  auto dump = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(dump.has_value()) << dump.error().message;
  auto truth = read_truth(*dump);
  ASSERT_TRUE(truth.has_value()) << truth.error().message;
  ASSERT_FALSE(truth->lost.empty());
  for (bool use_symbols : {true, false}) {
    DecodedHeap heap = decode_glibc(*dump, {.use_symbols = use_symbols});
    ASSERT_NE(heap.decoder, nullptr);
    LiveSetDifference difference = compare(*truth, heap);
    for (const TruthRow& row : difference.missing) EXPECT_TRUE(is_lost(*truth, row.address)) << difference.text();
    for (const TruthRow& row : difference.wrong_size) EXPECT_TRUE(is_lost(*truth, row.address)) << difference.text();
    EXPECT_TRUE(difference.extra.empty()) << difference.text();
    EXPECT_EQ(heap.diagnostics.count("corrupt_chunk"), breaks);
    for (const Diagnostic& diagnostic : heap.diagnostics.all())
      EXPECT_NE(diagnostic.text.find("0x"), std::string::npos);
    EXPECT_GT(heap.unexplained_bytes(), 0u);
    EXPECT_LE(heap.unexplained_bytes(), most_unexplained);
    EXPECT_EQ(accounting_violation(heap), "");
  }
}

TEST(DamagedHeapTest, overwritten_headers_cost_their_own_blocks) {
  expect_only_the_lost_differ("corrupt", 2, 5000 + 1000);
}

TEST(DamagedHeapTest, a_signal_stack_that_overflows_on_the_heap_costs_its_own_block) {
  expect_only_the_lost_differ("signal_stack", 1, 65536 + 100);
}

TEST(DamagedHeapTest, chunks_of_a_broken_tcache_list_are_still_cached) {
  ProgramRun run(recorded("corrupt_tcache"));
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_FALSE(run.core_path().empty()) << run.error();
  auto dump = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(dump.has_value()) << dump.error().message;
  auto truth = read_truth(*dump);
  ASSERT_TRUE(truth.has_value()) << truth.error().message;
  DecodedHeap heap = decode_glibc(*dump);
  LiveSetDifference difference = compare(*truth, heap);
  EXPECT_TRUE(difference.exact()) << difference.text();
  EXPECT_EQ(heap.diagnostics.count("corrupt_tcache"), 1u);
}

// The kernel writes by address: a short core has the main heap, and not libc's data. Truth comes from the whole core.
TEST(DamagedHeapTest, a_core_cut_off_behind_its_heap_keeps_the_heap) {
  ProgramRun run(recorded("threads"));
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_FALSE(run.core_path().empty()) << run.error();
  auto whole = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(whole.has_value()) << whole.error().message;
  auto truth = read_truth(*whole);
  ASSERT_TRUE(truth.has_value()) << truth.error().message;
  uint64_t size = fs::file_size(run.core_path());
  size_t with_heap = 0;
  for (uint64_t part = 15; part > 0; --part) {
    fs::resize_file(run.core_path(), size * part / 16);
    auto cut = open_core_dump(run.core_path(), {});
    ASSERT_TRUE(cut.has_value()) << cut.error().message;
    DecodedHeap heap = decode_glibc(*cut);
    if (heap.decoder == nullptr) continue;
    ++with_heap;
    EXPECT_EQ(accounting_violation(heap), "") << part;
    std::vector<Allocation> used = heap.blocks(AllocationState::used);
    size_t here = 0;   // live blocks whose header this core has
    size_t found = 0;  // of those, decoded as such
    for (const TruthRow& row : truth->live) {
      if (cut->memory.read(row.address - 16, 16).size() != 16) continue;
      ++here;
      auto block = std::ranges::lower_bound(used, row.address, {}, &Allocation::address);
      found += block != used.end() && block->address == row.address && block->size_bytes == row.usable_bytes;
    }
    EXPECT_GE(found * 100, here * 98) << part << "/16: " << found << " of " << here;
    EXPECT_FALSE(heap.diagnostics.all().empty() && cut->diagnostics.all().empty()) << part;
  }
  EXPECT_GE(with_heap, 8u);
}

}  // namespace
}  // namespace heapwalk
