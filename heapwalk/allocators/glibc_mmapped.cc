#include "heapwalk/allocators/glibc_mmapped.h"

#include <array>

namespace heapwalk::glibc {
namespace {

// Bytes of the mapping that a header describes: the rule of ≤ 2.42 or that of ≥ 2.43; 0 when neither fits.
uint64_t mapping_bytes(uint64_t prev_size, uint64_t size) {
  uint64_t sum = prev_size + size;
  if (sum < size) return 0;
  if (sum % kPageBytes == 0) return sum;
  if ((sum + kHeaderBytes) % kPageBytes == 0) return sum + kHeaderBytes;
  return 0;
}

uint64_t mmapped_usable(uint64_t prev_size, uint64_t size) {
  return (prev_size + size) % kPageBytes == 0 ? size - kHeaderBytes : size - 8;
}

// The chunk whose header memalign moved away from `page`: it repeats the distance and completes a mapping. (The stale
// header's size says nothing: realloc may have resized the mapping since.)
std::optional<MmappedChunk> moved_chunk(const Window& window, uint64_t page, uint64_t limit) {
  for (uint64_t alignment = 2 * kAlignment; alignment < limit - page; alignment *= 2) {
    uint64_t aligned = Address{page + kHeaderBytes}.align_up(alignment).value;
    for (uint64_t user : {aligned, aligned + alignment}) {
      uint64_t header = user - kHeaderBytes;
      if (header <= page || user >= limit || !window.holds(header, kHeaderBytes)) continue;
      uint64_t size_word = window.size_word(header);
      if (window.word(header) != header - page || (size_word & kFlags) != kIsMmapped) continue;
      uint64_t total = mapping_bytes(header - page, chunk_size(size_word));
      if (total <= user - page || total > limit - page) continue;
      return MmappedChunk{page, total, user, mmapped_usable(header - page, chunk_size(size_word))};
    }
  }
  return std::nullopt;
}

struct ParameterLayout {
  uint64_t chunks, bytes, sbrk_base, struct_bytes;
};
constexpr std::array<ParameterLayout, 3> kLayouts = {{
    {0x28, 0x38, 0x48, 0x70},  // 2.25–2.34
    {0x3c, 0x50, 0x60, 0x88},  // 2.35–2.42
    {0x44, 0x58, 0x68, 0x90},  // 2.43
}};
constexpr uint64_t kTopPad = 0x08;
constexpr uint64_t kArenaTest = 0x18;
constexpr uint64_t kMostArenas = 4096;
constexpr uint64_t kDefaultTopPad = 128 << 10;
constexpr int32_t kDefaultMmapMax = 65536;
constexpr uint64_t kSearchBytes = 64 << 10;  // mp_ and main_arena are variables of one object file

struct Candidate {
  MallocParameters parameters;
  int defaults = 0;  // fields that have their usual value
};

// Where brk stood when malloc first asked: the first chunk ever begins there, behind all modules.
bool is_sbrk_base(const CoreDump& dump, uint64_t base) {
  Address first = Address{base}.align_up(kAlignment);
  if (base == 0 || dump.find_module(first) != nullptr) return false;
  auto size_word = dump.memory.read_word(first + 8);
  if (!size_word || (*size_word & kFlags) != kPrevInUse) return false;
  return chunk_size(*size_word) >= kMinimumChunk && chunk_size(*size_word) % kAlignment == 0;
}

// malloc_par at `at` under a layout: int n_mmaps, n_mmaps_max, max_n_mmaps; size_t mmapped_mem, max_mmapped_mem.
std::optional<Candidate> parameters_at(const CoreDump& dump, Address at, const ParameterLayout& layout) {
  Bytes bytes = dump.memory.read_exactly(at, layout.struct_bytes);
  if (bytes.empty()) return std::nullopt;
  auto word = [&](uint64_t offset) { return load<uint64_t>(bytes.data() + offset); };
  auto number = [&](uint64_t offset) { return load<int32_t>(bytes.data() + offset); };
  if (number(layout.chunks) < 0 || number(layout.chunks) > number(layout.chunks + 8)) return std::nullopt;
  if (word(layout.bytes) > word(layout.bytes + 8) || word(layout.bytes) % kPageBytes != 0) return std::nullopt;
  if ((number(layout.chunks) == 0) != (word(layout.bytes) == 0)) return std::nullopt;
  if (word(kArenaTest) - 1 >= kMostArenas || !is_sbrk_base(dump, word(layout.sbrk_base))) return std::nullopt;
  int defaults = int{word(kTopPad) == kDefaultTopPad} + int{number(layout.chunks + 4) == kDefaultMmapMax} +
                 int{word(kArenaTest) == 8 || word(kArenaTest) == 2};
  return Candidate{{AddressRange::of(at, layout.struct_bytes), word(layout.sbrk_base),
                    static_cast<uint64_t>(number(layout.chunks)), word(layout.bytes)},
                   defaults};
}

void keep_better(std::optional<Candidate>& best, const CoreDump& dump, Address at) {
  for (const ParameterLayout& layout : kLayouts) {
    auto found = parameters_at(dump, at, layout);
    if (found && (!best || found->defaults > best->defaults)) best = found;
  }
}

}  // namespace

std::optional<MmappedChunk> mmapped_chunk_at(const Window& window, uint64_t page, uint64_t limit) {
  if (!window.holds(page, kHeaderBytes) || window.word(page) != 0) return std::nullopt;
  uint64_t size_word = window.size_word(page);
  uint64_t size = chunk_size(size_word);
  if ((size_word & kFlags) != kIsMmapped || size % kAlignment != 0) return std::nullopt;
  if (auto moved = moved_chunk(window, page, limit)) return moved;
  uint64_t total = mapping_bytes(0, size);
  if (total < kPageBytes || total > limit - page) return std::nullopt;
  return MmappedChunk{page, total, page + kHeaderBytes, mmapped_usable(0, size)};
}

std::optional<MallocParameters> find_parameters(const CoreDump& dump, const Instance& instance, bool use_symbols) {
  if (instance.module == nullptr || instance.arenas.empty()) return std::nullopt;
  std::optional<Candidate> best;
  auto symbol = use_symbols ? instance.module->symbol_range("mp_") : std::nullopt;
  if (symbol) keep_better(best, dump, symbol->begin);
  Address arena = instance.arenas.front().state;
  for (const ModuleSegment& segment : instance.module->segments) {
    AddressRange near = segment.range.intersect({arena - kSearchBytes, arena + kSearchBytes});
    if (best || !segment.writable || near.empty()) continue;
    std::optional<Candidate> here;
    Window window = Window::of(dump.memory, near);
    for (uint64_t at = near.begin.align_up(8).value; window.holds(at, kArenaTest + 8); at += 8) {
      if (window.word(at + kArenaTest) - 1 < kMostArenas) keep_better(here, dump, Address{at});
    }
    if (here && here->defaults > 0) best = here;
  }
  return best ? std::optional(best->parameters) : std::nullopt;
}

}  // namespace heapwalk::glibc
