#include "heapwalk/allocators/glibc_bins.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace heapwalk::glibc {
namespace {

// What is wrong with a bin's member, or nullptr.
const char* member_error(const CoreDump& dump, std::span<const GlibcRegion> regions, uint64_t chunk, uint64_t before) {
  auto after = std::ranges::upper_bound(regions, Address{chunk}, {},
                                        [](const GlibcRegion& region) { return region.region.range.begin; });
  // A region may begin between a chunk's header and its user memory (glibc_heaps).
  bool inside = after != regions.begin() && std::prev(after)->region.range.contains(Address{chunk});
  if (!inside || chunk % kAlignment != 0) return "lies in no heap of malloc";
  auto size_word = dump.memory.read_word(Address{chunk} + 8);
  auto bk = dump.memory.read_word(Address{chunk} + 24);
  if (!size_word || !bk) return "is not in the core";
  uint64_t size = chunk_size(*size_word);
  auto footer = dump.memory.read_word(Address{chunk} + size);
  auto next_word = dump.memory.read_word(Address{chunk} + size + 8);
  if (!footer || !next_word) return "has an impossible size";
  if ((*next_word & kPrevInUse) != 0) return "is marked in use";
  if (*footer != size) return "has a footer that disagrees with its size";
  if (*bk != before) return "does not link back";
  return nullptr;
}

struct BinError {
  uint64_t chunk = 0;
  const char* what = nullptr;
};

BinError check_bin(const CoreDump& dump, std::span<const GlibcRegion> regions, Address slot, size_t most) {
  uint64_t bin = slot.value - kHeaderBytes;
  uint64_t before = bin;
  for (size_t i = 0; i < most; ++i) {
    auto chunk = dump.memory.read_word(Address{before} + kHeaderBytes);
    if (!chunk || *chunk == bin) break;
    if (const char* what = member_error(dump, regions, *chunk, before)) return {*chunk, what};
    before = *chunk;
  }
  return {};
}

}  // namespace

void check_bins(const CoreDump& dump, const std::vector<Instance>& instances, std::span<const GlibcRegion> regions,
                Diagnostics& diagnostics) {
  size_t arenas = 0;
  for (const Instance& instance : instances) arenas += instance.arenas.size();
  if (arenas == 0) return;
  size_t per_bin = std::max<size_t>(kMaxBinMembers / arenas / kBins, 4);
  for (const Instance& instance : instances) {
    for (const Arena& arena : instance.arenas) {
      for (uint64_t i = 0; i < kBins; ++i) {
        BinError error = check_bin(dump, regions, arena.bins + i * 16, per_bin);
        if (error.what == nullptr) continue;
        bool truncated = dump.missing_bytes > 0;
        diagnostics.add(truncated ? "incomplete_bin" : "corrupt_bin",
                        fmt::format("arena {:#x}, bin {}: the free chunk {:#x} {}", arena.state.value, i + 1,
                                    error.chunk, error.what));
        break;
      }
    }
  }
}

}  // namespace heapwalk::glibc
