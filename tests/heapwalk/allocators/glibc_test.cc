// The decoder on heaps that are damaged on purpose: real cores of testdata/programs/alloc_truth.c, with single words
// overwritten. Whatever is written, the walk ends, the accounting holds, and what the damage did not reach is still exact.
#include "heapwalk/allocators/glibc.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "heapwalk/allocators/glibc_arena.h"
#include "heapwalk/allocators/glibc_mmapped.h"
#include "tests/support/live_set.h"
#include "tests/support/patched_core.h"
#include "tests/support/run_program.h"

namespace heapwalk {
namespace {

using glibc::Arena;

// One core per mode for all tests of this file.
class GlibcTest : public ::testing::Test {
 protected:
  void open(const std::string& mode) {
    static std::map<std::string, std::unique_ptr<ProgramRun>> runs;
    std::unique_ptr<ProgramRun>& run = runs[mode];
    std::string programs = HEAPWALK_PROGRAMS_DIR;
    if (run == nullptr) {
      RunOptions options;
      options.arguments = {programs + "/alloc_truth", mode};
      options.environment = {{"LD_PRELOAD", programs + "/libtruth.so"}};
      run = std::make_unique<ProgramRun>(options);
    }
    if (!run->skip_reason().empty()) GTEST_SKIP() << run->skip_reason();
    ASSERT_FALSE(run->core_path().empty()) << run->error();
    core_path_ = run->core_path();
    auto dump = open_core_dump(core_path_, {});
    ASSERT_TRUE(dump.has_value()) << dump.error().message;
    auto truth = read_truth(*dump);
    if (truth) truth_ = *truth;
    core_ = std::make_unique<PatchedCore>(std::move(*dump));
    Diagnostics ignored;
    for (const glibc::Instance& instance : glibc::find_instances(core_->dump(), false, ignored))
      arenas_ = instance.arenas;
  }

  uint64_t peek(Address address) const { return core_->dump().memory.read_word(address).value_or(0); }
  void poke(Address address, uint64_t value) { ASSERT_TRUE(core_->poke(address, value)) << address.value; }

  // Decodes, checks the laws, and returns the heap.
  DecodedHeap decode() const {
    DecodedHeap heap = decode_glibc(core_->dump());
    if (heap.decoder == nullptr) return heap;
    EXPECT_EQ(accounting_violation(heap), "");
    EXPECT_TRUE(heap.objects.check());
    return heap;
  }
  std::string difference(const DecodedHeap& heap) const {
    LiveSetDifference difference = compare(truth_, heap);
    return difference.exact() ? "" : difference.text();
  }

  std::string core_path_;
  std::unique_ptr<PatchedCore> core_;
  std::vector<Arena> arenas_;
  Truth truth_;
};

#define OPEN(mode) \
  open(mode);      \
  if (IsSkipped() || HasFatalFailure()) return

uint64_t mangle(Address target, Address location) {
  return target.value ^ (location.value >> 12);
}

TEST_F(GlibcTest, bins_alone_lead_to_the_arena_that_the_symbol_names) {
  OPEN("threads");
  Diagnostics diagnostics;
  auto by_symbol = glibc::find_instances(core_->dump(), true, diagnostics);
  ASSERT_EQ(by_symbol.size(), 1u);
  if (!by_symbol.front().by_symbol) GTEST_SKIP() << "this machine has no symbols of libc";
  ASSERT_EQ(by_symbol.front().arenas.size(), arenas_.size());
  EXPECT_GT(arenas_.size(), 2u);
  for (size_t i = 0; i < arenas_.size(); ++i) EXPECT_EQ(by_symbol.front().arenas[i].state, arenas_[i].state);
}

TEST_F(GlibcTest, parameters_are_found_without_their_symbol) {
  OPEN("big");
  Diagnostics diagnostics;
  auto instances = glibc::find_instances(core_->dump(), true, diagnostics);
  ASSERT_EQ(instances.size(), 1u);
  auto by_shape = glibc::find_parameters(core_->dump(), instances.front(), false);
  ASSERT_TRUE(by_shape.has_value());
  auto symbol = instances.front().module->symbol_range("mp_");
  if (!symbol) GTEST_SKIP() << "this machine has no symbols of libc";
  EXPECT_EQ(by_shape->range.begin, symbol->begin);
}

TEST_F(GlibcTest, a_process_that_never_called_malloc_has_no_heap) {
  OPEN("nothing");
  DecodedHeap heap = decode();
  EXPECT_EQ(heap.decoder, nullptr);
  EXPECT_TRUE(heap.diagnostics.all().empty());
}

TEST_F(GlibcTest, regions_are_split_for_workers_without_losing_a_block) {
  OPEN("churn");
  DecodedHeap heap = decode();
  ASSERT_NE(heap.decoder, nullptr);
  for (const HeapRegion& region : heap.decoder->regions()) EXPECT_TRUE(region.range.begin.is_aligned(8));
  EXPECT_EQ(difference(heap), "");
}

TEST_F(GlibcTest, a_tcache_list_that_turns_back_on_itself_is_reported_and_its_chunks_stay_cached) {
  OPEN("caches");
  DecodedHeap before = decode();
  std::vector<Allocation> cached = before.blocks(AllocationState::cached);
  auto large = std::ranges::find_if(cached, [](const Allocation& block) { return block.size_bytes >= 200; });
  ASSERT_NE(large, cached.end());
  poke(large->address, mangle(large->address, large->address));
  DecodedHeap heap = decode();
  EXPECT_EQ(heap.diagnostics.count("corrupt_tcache"), 1u);
  EXPECT_EQ(difference(heap), "");
}

TEST_F(GlibcTest, a_cyclic_fastbin_ends) {
  OPEN("caches");
  uint64_t chunk = 0;
  for (uint64_t bin = 0; bin < 7 && chunk == 0; ++bin) chunk = peek(arenas_.front().fastbins() + bin * 8);
  ASSERT_NE(chunk, 0u) << "the program left no fastbin";
  Address second{peek(Address{chunk} + 16) ^ ((chunk + 16) >> 12)};
  ASSERT_TRUE(second);
  poke(second + 16, mangle(Address{chunk}, second + 16));
  DecodedHeap heap = decode();
  EXPECT_EQ(heap.diagnostics.count("corrupt_fastbin"), 1u);
  EXPECT_TRUE(compare(truth_, heap).missing.empty());
}

TEST_F(GlibcTest, a_cyclic_ring_of_arenas_ends_and_the_arenas_behind_it_are_found) {
  OPEN("threads");
  ASSERT_GE(arenas_.size(), 3u);
  poke(arenas_[1].bins + 0x800, arenas_[1].state.value);
  DecodedHeap heap = decode();
  EXPECT_GE(heap.diagnostics.count("corrupt_arena"), 1u);
  EXPECT_EQ(difference(heap), "");
}

TEST_F(GlibcTest, a_cyclic_chain_of_heaps_ends) {
  OPEN("heaps");
  auto arena = std::ranges::find_if(arenas_, [](const Arena& candidate) { return candidate.heaps.size() >= 3; });
  ASSERT_NE(arena, arenas_.end()) << "no arena has three heaps";
  Address first = Address{arena->state.value - arena->heap_info_bytes};
  ASSERT_EQ(peek(first + 8), 0u);
  poke(first + 8, arena->top.align_down(64 << 20).value);
  DecodedHeap heap = decode();
  EXPECT_EQ(heap.diagnostics.count("corrupt_arena"), 1u);
  EXPECT_EQ(difference(heap), "");
}

TEST_F(GlibcTest, an_impossible_top_loses_nothing_but_itself) {
  OPEN("single");
  poke(arenas_.front().top + 8, 0xfffffffffffffff1);
  DecodedHeap heap = decode();
  EXPECT_EQ(heap.diagnostics.count("corrupt_top"), 1u);
  EXPECT_EQ(difference(heap), "");
}

TEST_F(GlibcTest, an_impossible_system_mem_is_not_believed) {
  for (uint64_t value : {uint64_t{0}, uint64_t{1} << 40, UINT64_MAX}) {
    OPEN("single");
    poke(arenas_.front().bins + 0x818, value);
    EXPECT_EQ(difference(decode()), "") << value;
  }
}

TEST_F(GlibcTest, a_bin_that_lists_a_used_chunk_is_reported) {
  OPEN("single");
  Address bins = arenas_.front().bins;
  uint64_t victim = truth_.live.front().address.value - 16;
  for (uint64_t i = 0; i < glibc::kBins; ++i) {
    uint64_t chunk = peek(bins + i * 16);
    if (chunk == bins.value + i * 16 - 16) continue;
    poke(Address{chunk} + 16, victim);
    break;
  }
  DecodedHeap heap = decode();
  EXPECT_EQ(heap.diagnostics.count("corrupt_bin"), 1u);
  EXPECT_EQ(difference(heap), "");
}

TEST_F(GlibcTest, a_header_with_a_plausible_but_wrong_size_costs_only_its_block) {
  OPEN("threads");
  std::mt19937_64 random(7);
  for (int round = 0; round < 20; ++round) {
    OPEN("threads");
    TruthRow row = truth_.live[random() % truth_.live.size()];
    uint64_t word = peek(row.address - 8);
    if ((word & 2) != 0 || row.usable_bytes < 100) continue;
    poke(row.address - 8, 0x30 | (word & 7));
    // All of the payload but the next chunk's prev_size: a header of an older life, left there, would be as good as a true one.
    for (uint64_t at = 0; at + 8 < row.usable_bytes; at += 8) poke(row.address + at, UINT64_MAX);
    DecodedHeap heap = decode();
    EXPECT_EQ(heap.diagnostics.count("corrupt_chunk"), 1u);
    LiveSetDifference difference = compare(truth_, heap);
    EXPECT_LE(difference.missing.size() + difference.wrong_size.size(), 1u) << difference.text();
    EXPECT_LE(difference.extra.size(), 1u) << difference.text();
  }
}

TEST_F(GlibcTest, random_damage_never_breaks_the_laws) {
  std::mt19937_64 random(20260101);
  for (const char* mode : {"threads", "caches", "blocked_brk", "heaps", "tiny_mmap"}) {
    OPEN(mode);
    for (int round = 0; round < 40; ++round) {
      const Arena& arena = arenas_[random() % arenas_.size()];
      const TruthRow& row = truth_.live[random() % truth_.live.size()];
      Address place = round % 4 == 0   ? arena.state + random() % (arena.state_bytes / 8) * 8
                      : round % 4 == 1 ? row.address - 8
                      : round % 4 == 2 ? Address{row.address.value + row.usable_bytes}
                                       : arena.top + random() % 2 * 8;
      const uint64_t values[] = {0,
                                 UINT64_MAX,
                                 random(),
                                 place.value,
                                 peek(place) ^ (1ULL << (random() % 64)),
                                 truth_.live[random() % truth_.live.size()].address.value,
                                 0x21,
                                 arena.state.value};
      core_->poke(Address{place.value & ~7ULL}, values[random() % 8]);
      decode();
    }
  }
}

TEST_F(GlibcTest, stdio_links_of_open_files_are_private) {
  OPEN("files");
  constexpr uint64_t kFileBytes = 472;  // what fopen asks malloc for
  for (bool use_symbols : {true, false}) {
    DecodedHeap heap = decode_glibc(core_->dump(), {.use_symbols = use_symbols});
    ASSERT_NE(heap.decoder, nullptr);
    std::vector<Address> expected;
    for (const TruthRow& row : truth_.live) {
      if (row.requested_bytes == kFileBytes && peek(row.address) >> 16 << 16 == 0xfbad0000)
        expected.push_back(row.address + 0x68);
    }
    EXPECT_EQ(expected.size(), 5u);
    std::span<const Address> words = heap.decoder->private_words();
    EXPECT_EQ(std::vector<Address>(words.begin(), words.end()), expected);
    const Module* libc = core_->dump().find_module_by_name("libc.so");
    auto list = libc->symbol_range("_IO_list_all");
    ASSERT_TRUE(list.has_value());
    EXPECT_TRUE(std::ranges::any_of(heap.decoder->private_ranges(), [&](AddressRange range) {
      return range.contains(AddressRange::of(list->begin, 8));
    }));
    for (size_t i = 1; i < heap.decoder->private_ranges().size(); ++i) {
      EXPECT_LT(heap.decoder->private_ranges()[i - 1].end, heap.decoder->private_ranges()[i].begin);
    }
  }
}

}  // namespace
}  // namespace heapwalk
