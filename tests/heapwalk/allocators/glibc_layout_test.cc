// One hand-made heap in every layout that glibc has had since 2.28, on both architectures: what no distribution at hand
// still ships is tested here. The heap is the same each time:
//
//     [tcache struct][used A][cached C1][cached C2][used B][free F][used D][fast E][used G][top]
#include <gtest/gtest.h>

#include "heapwalk/allocators/glibc_arena.h"
#include "tests/support/core_builder.h"
#include "tests/support/live_set.h"

namespace heapwalk {
namespace {

struct Layout {
  const char* name;
  uint64_t start_to_bins;  // in malloc_state
  uint64_t tcache_chunk;   // size of the tcache struct's chunk
  uint64_t tcache_bins;
  uint64_t count_bytes;
  bool counts_down;
  bool mangled;
  const char* version;
};

constexpr Layout kLayouts[] = {
    {"v2_28", 0x70, 0x250, 64, 1, false, false, "2.26–2.29"},
    {"v2_31", 0x70, 0x290, 64, 2, false, false, "2.30–2.31"},
    {"v2_36", 0x70, 0x290, 64, 2, false, true, "2.32–2.41"},
    {"v2_36_unsplit_struct", 0x70, 0x2a0, 64, 2, false, true, "2.32–2.41"},
    {"v2_42", 0x70, 0x300, 76, 2, true, true, "2.42"},
    {"v2_43", 0x18, 0x300, 76, 2, true, true, "2.43 or newer"},
};

constexpr uint64_t kHeap = 0x10000000;
constexpr uint64_t kHeapBytes = 0x21000;
constexpr uint64_t kLibc = 0x7f0000100000;
constexpr uint64_t kState = kLibc + 0x1040;
constexpr uint64_t kTls = 0x7f0000200000;
constexpr uint64_t kThreadPointer = kTls + 0x1000;

struct Expected {
  uint64_t address, size_bytes;
  AllocationState state;
};

class HandMadeHeap {
 public:
  HandMadeHeap(const Layout& layout, Architecture architecture) : layout_(layout) {
    core_.architecture(architecture);
    core_.map(0x400000, 0x1000, {.permissions = "r--", .path = "/nonexistent/program"});
    core_.map(kHeap, kHeapBytes);
    core_.map(kLibc, 0x3000, {.permissions = "rw-", .path = "/nonexistent/libc.so.6"});
    core_.map(kTls, 0x2000);
    core_.thread({.sp = kTls + 0x1800, .pc = 0x400000, .thread_pointer = kThreadPointer});
    build_heap();
    uint64_t thread_locals = architecture == Architecture::aarch64 ? kThreadPointer + 0x30 : kThreadPointer - 0x48;
    core_.word(thread_locals, kHeap + 16).word(thread_locals + 0x10, kState);  // tcache, thread_arena
  }

  CoreDump open() const { return core_.open(); }
  const std::vector<Expected>& expected() const { return expected_; }
  uint64_t tcache_next_of_first() const { return cached_[0]; }
  test::CoreBuilder& core() { return core_; }

 private:
  uint64_t bins() const { return kState + layout_.start_to_bins; }
  uint64_t mangle(uint64_t target, uint64_t location) const {
    return layout_.mangled ? target ^ (location >> 12) : target;
  }

  uint64_t add(uint64_t size, AllocationState state, bool previous_is_free = false) {
    core_.word(next_ + 8, size | (previous_is_free ? 0 : 1));
    uint64_t user = next_ + 16;
    expected_.push_back({user, state == AllocationState::top ? size - 16 : size - 8, state});
    next_ += size;
    return user;
  }

  void build_heap() {
    uint64_t tcache = add(layout_.tcache_chunk, AllocationState::metadata);
    add(0x30, AllocationState::used);
    cached_[0] = add(0x40, AllocationState::cached);
    cached_[1] = add(0x40, AllocationState::cached);
    add(0x90, AllocationState::used);
    uint64_t free = add(0x500, AllocationState::free) - 16;
    core_.word(next_, 0x500);
    add(0x420, AllocationState::used, true);
    bool has_fastbins = layout_.start_to_bins != 0x18;
    uint64_t fast = add(0x50, has_fastbins ? AllocationState::cached : AllocationState::used) - 16;
    add(0x20, AllocationState::used);
    uint64_t top = next_;
    add(kHeap + kHeapBytes - top, AllocationState::top);

    for (uint64_t i = 0; i < layout_.tcache_bins && layout_.counts_down; ++i) core_.bytes(tcache + i * 2, kFillLimit);
    const std::byte two[] = {std::byte{static_cast<unsigned char>(layout_.counts_down ? 16 - 2 : 2)}};
    core_.bytes(tcache + 2 * layout_.count_bytes, two);  // bin 2: chunks of 0x40
    core_.word(tcache + layout_.tcache_bins * layout_.count_bytes + 2 * 8, cached_[0]);
    core_.word(cached_[0], mangle(cached_[1], cached_[0])).word(cached_[1], mangle(0, cached_[1]));

    for (uint64_t i = 0; i < glibc::kBins; ++i) {
      uint64_t bin = bins() + i * 16 - 16;
      core_.words(bin + 16, {bin, bin});
    }
    uint64_t unsorted = bins() - 16;
    core_.words(unsorted + 16, {free, free}).words(free + 16, {unsorted, unsorted});
    core_.words(bins() - 16, {top, 0});                     // top, last_remainder
    core_.word(bins() + 0x800, kState);                     // next
    core_.words(bins() + 0x818, {kHeapBytes, kHeapBytes});  // system_mem, max_system_mem
    if (has_fastbins) {
      core_.word(bins() - 0x60 + 3 * 8, fast);  // fastbin 3: chunks of 0x50
      core_.word(fast + 16, mangle(0, fast + 16));
    }
  }

  static constexpr std::byte kFillLimit[] = {std::byte{16}, std::byte{0}};
  Layout layout_;
  test::CoreBuilder core_;
  std::vector<Expected> expected_;
  uint64_t next_ = kHeap;
  uint64_t cached_[2] = {};
};

class GlibcLayoutTest : public ::testing::TestWithParam<std::tuple<Layout, Architecture>> {};

TEST_P(GlibcLayoutTest, every_block_has_its_state_and_size) {
  auto [layout, architecture] = GetParam();
  HandMadeHeap made(layout, architecture);
  CoreDump dump = made.open();
  DecodedHeap heap = decode_glibc(dump);
  ASSERT_NE(heap.decoder, nullptr);
  EXPECT_EQ(heap.decoder->facts().version, layout.version);
  EXPECT_EQ(accounting_violation(heap), "");
  EXPECT_EQ(heap.unexplained_bytes(), 0u);
  std::vector<Allocation> found;
  heap.objects.for_each(0, heap.objects.size(), [&](ObjectId, Address address, uint64_t size, AllocationState state) {
    found.push_back({address, size, state, 0});
  });
  ASSERT_EQ(found.size(), made.expected().size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].address.value, made.expected()[i].address) << i;
    EXPECT_EQ(found[i].size_bytes, made.expected()[i].size_bytes) << i;
    EXPECT_EQ(found[i].state, made.expected()[i].state) << i;
  }
  for (const char* code : {"corrupt_chunk", "corrupt_tcache", "corrupt_fastbin", "corrupt_bin", "corrupt_arena"}) {
    EXPECT_EQ(heap.diagnostics.count(code), 0u) << code;
  }
}

TEST_P(GlibcLayoutTest, a_cyclic_tcache_list_ends) {
  auto [layout, architecture] = GetParam();
  HandMadeHeap made(layout, architecture);
  uint64_t first = made.tcache_next_of_first();
  made.core().word(first, layout.mangled ? first ^ (first >> 12) : first);
  CoreDump dump = made.open();
  DecodedHeap heap = decode_glibc(dump);
  ASSERT_NE(heap.decoder, nullptr);
  EXPECT_EQ(heap.diagnostics.count("corrupt_tcache"), 1u);
  EXPECT_EQ(accounting_violation(heap), "");
}

INSTANTIATE_TEST_SUITE_P(Layouts, GlibcLayoutTest,
                         ::testing::Combine(::testing::ValuesIn(kLayouts),
                                            ::testing::Values(Architecture::x86_64, Architecture::aarch64)),
                         [](const auto& test) {
                           bool is_arm = std::get<1>(test.param) == Architecture::aarch64;
                           return std::string(std::get<0>(test.param).name) + (is_arm ? "_aarch64" : "_x86_64");
                         });

}  // namespace
}  // namespace heapwalk
