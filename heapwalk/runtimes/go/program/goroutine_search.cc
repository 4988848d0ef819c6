#include "heapwalk/runtimes/go/program/goroutine_search.h"

#include <algorithm>

#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kChecked = 64;  // goroutines of one slice
constexpr uint64_t kMaxLength = 1 << 28;
constexpr uint32_t kScanBit = 0x1000, kLastStatus = 11;

}  // namespace

bool is_goroutine(const AddressSpace& memory, const Layout& layout, Address at) {
  const Record g(memory, layout, at);
  if (g.pointer(Field::g_sched, layout.offset(Field::gobuf_g)) != at) return false;
  const auto status = g.read<uint32_t>(Field::g_atomicstatus);
  const auto low = g.pointer(Field::g_stack, layout.offset(Field::stack_lo));
  const auto high = g.pointer(Field::g_stack, layout.offset(Field::stack_hi));
  return status && (*status & ~kScanBit) <= kLastStatus && low && high && *low <= *high;
}

uint64_t listed_goroutines(const AddressSpace& memory, const Layout& layout, const Slice& slice) {
  const auto [data, length, capacity] = slice;
  if (!data || !data.is_aligned(8) || length == 0 || length > capacity || capacity > kMaxLength) return 0;
  for (uint64_t i = 0; i < std::min(length, kChecked); ++i) {
    const auto g = memory.read_pointer(data + 8 * i);
    if (!g || !is_goroutine(memory, layout, *g)) return 0;
  }
  return length;
}

std::optional<Address> search_all_goroutines(const AddressSpace& memory, const Layout& layout,
                                             const ModuleData& module) {
  std::optional<Address> found;
  uint64_t longest = 0;
  for (const AddressRange range : {module.data.range, module.bss.range}) {
    Address at = range.begin.align_up(8);
    while (at < range.end) {
      const Bytes bytes = memory.read(at, range.end - at);
      for (uint64_t offset = 0; offset + 24 <= bytes.size(); offset += 8) {
        const std::byte* words = bytes.data() + offset;
        const uint64_t length = listed_goroutines(
            memory, layout, {Address{load<uint64_t>(words)}, load<uint64_t>(words + 8), load<uint64_t>(words + 16)});
        if (length > longest) {
          longest = length;
          found = at + offset;
        }
      }
      at = (at + std::max<uint64_t>(bytes.size(), 4096)).align_down(8);
    }
  }
  return found;
}

}  // namespace heapwalk::go
