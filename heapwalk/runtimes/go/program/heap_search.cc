#include "heapwalk/runtimes/go/program/heap_search.h"

#include <algorithm>

#include "heapwalk/runtimes/go/program/size_classes.h"

namespace heapwalk::go {
namespace {

// Whether the map of arenas leads from the span's first page back to it.
bool arena_knows(const AddressSpace& memory, const Layout& layout, Address arenas, Address span, Address begin) {
  for (Architecture architecture : {Architecture::x86_64, Architecture::aarch64}) {
    const uint64_t arena = (begin.value - arena_base(architecture)) / kArenaBytes;
    if (arena >= kArenas) continue;
    const auto metadata = memory.read_pointer(arenas + arena * 8);
    const uint64_t page = begin.value % kArenaBytes / kPageBytes;
    if (metadata && *metadata &&
        memory.read_pointer(*metadata + layout.offset(Field::heapArena_spans) + page * 8) == span)
      return true;
  }
  return false;
}

}  // namespace

std::optional<Address> search_heap(const AddressSpace& memory, const Layout& layout, const ModuleData& module) {
  constexpr uint64_t kImagePage = 4096;
  constexpr uint64_t kTriedSpans = 256;  // a free span's pages are known to the arena at its ends only, if at all
  for (AddressRange range : {module.noptrbss, module.bss.range}) {
    const uint32_t spans_at = layout.offset(Field::mheap_allspans);
    if (range.size_bytes() < spans_at + 24) continue;
    for (Address base = range.begin; base + spans_at + 24 <= range.end; base += 8) {
      const auto spans = read_slice(memory, base + spans_at);
      if (!spans) {  // not there: on to the next page
        base = (base + spans_at).align_down(kImagePage) + kImagePage - spans_at - 8;
        continue;
      }
      if (spans->length == 0 || spans->length > spans->capacity || spans->length > kMaxSpans) continue;
      const auto table = memory.read_pointer(base + layout.offset(Field::mheap_arenas));
      if (!table || !*table) continue;
      for (uint64_t i = 0; i < std::min(spans->length, kTriedSpans); ++i) {
        const auto span = memory.read_pointer(spans->data + 8 * i);
        const auto begin = span ? memory.read_pointer(*span + layout.offset(Field::mspan_startAddr)) : std::nullopt;
        if (!begin || begin->value % kPageBytes != 0) break;
        if (begin->value != 0 && arena_knows(memory, layout, *table, *span, *begin)) return base;
      }
    }
  }
  return std::nullopt;
}

}  // namespace heapwalk::go
