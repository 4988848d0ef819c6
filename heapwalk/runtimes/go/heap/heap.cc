#include "heapwalk/runtimes/go/heap/heap.h"

#include <algorithm>
#include <bit>

#include "heapwalk/roots/word_scan.h"
#include "heapwalk/runtimes/go/heap/heap_counters.h"
#include "heapwalk/runtimes/go/program/heap_search.h"
#include "heapwalk/runtimes/go/program/size_classes.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxHeapBitsSlot = 512;  // minSizeForMallocHeader
constexpr uint64_t kInlineMarkBytes = 128;  // spanInlineMarkBits
constexpr uint64_t kMaxSpanBytes = uint64_t{1} << 47;
constexpr uint64_t kMaxElements = UINT16_MAX;  // a span of small slots has few pages
constexpr int kArenaBitmap = 20;               // since this release one bit per word

// The writable parts of a range.
std::vector<AddressRange> mapped_parts(const CoreDump& dump, AddressRange range) {
  std::vector<AddressRange> parts;
  for (const Mapping& mapping : dump.mappings)
    if (mapping.writable && mapping.range.overlaps(range)) parts.push_back(mapping.range.intersect(range));
  return parts;
}

// f(offset of the word, its value) for the words of a range that the core has and that are not 0.
template <class F>
void for_each_word(const AddressSpace& memory, AddressRange range, F f) {
  auto regions = memory.regions();
  auto at = std::ranges::upper_bound(regions, range.begin, {}, [](const Region& r) { return r.range.end; });
  for (; at != regions.end() && at->range.begin < range.end; ++at) {
    if (at->data == nullptr) continue;
    const AddressRange part = at->range.intersect(range);
    const std::byte* data = at->data + (part.begin - at->range.begin);
    for (uint64_t offset = 0; offset + 8 <= part.size_bytes(); offset += 8)
      if (const auto word = load<uint64_t>(data + offset); word != 0) f(part.begin - range.begin + offset, word);
  }
}

// Fields of one structure, borrowed whole.
class Record {
 public:
  Record(Bytes bytes, const Layout& layout) : bytes_(bytes), layout_(layout) {}
  template <class T>
  T get(Field field) const {
    const uint32_t offset = layout_.offset(field);
    if (offset == Layout::kAbsent || offset + sizeof(T) > bytes_.size()) return T{};
    return load<T>(bytes_.data() + offset);
  }
  uint64_t number(Field field) const {  // of a field whose width the releases do not agree on
    return layout_.width(field) == 2 ? get<uint16_t>(field) : get<uint64_t>(field);
  }
  Address address(Field field) const { return Address{get<uint64_t>(field)}; }

 private:
  Bytes bytes_;
  const Layout& layout_;
};

// A span that can be: whole pages, slots that fit.
bool is_sane(const Span& span) {
  if (span.begin.value % kPageBytes != 0 || span.size_bytes == 0 || span.size_bytes > kMaxSpanBytes) return false;
  if (span.begin.value + span.size_bytes < span.begin.value) return false;
  if (span.state == SpanState::manual) return true;
  if (span.element_bytes < 8 || span.element_bytes % 8 != 0) return false;
  if (span.elements == 0 || span.elements > kMaxElements) return false;
  return span.element_bytes <= span.size_bytes && span.elements <= span.size_bytes / span.element_bytes;
}

// What the run-time says twice has to be the same. A large object's limit is that of the request; Go 1.22 counts slots
// into the limit that the heap bits take.
bool agrees_with_itself(const Span& span, uint64_t free_index, uint8_t span_class) {
  const size_t size_class = span_class >> 1;
  if (free_index > span.elements || size_class >= kSizeClasses) return false;
  if (span.is_arena) return true;
  if (span.limit > span.range().end) return false;
  if (size_class == 0) return span.elements == 1;
  return span.element_bytes == kSizeClassBytes[size_class] &&
         span.limit >= span.begin + span.elements * span.element_bytes;
}

}  // namespace

std::optional<Heap> Heap::read(const CoreDump& dump, const Process& process, Diagnostics& diagnostics) {
  Heap heap(dump, process);
  heap.sweep_gen_ =
      dump.memory.read<uint32_t>(process.mheap + process.layout.offset(Field::mheap_sweepgen)).value_or(0);
  heap.add_arenas(diagnostics);
  heap.add_spans(diagnostics);
  if (heap.arenas_.empty()) {
    diagnostics.add("go_heap_unread", fmt::format("{}: no arena of the Go heap could be read", process.module->name));
    return std::nullopt;
  }
  return heap;
}

void Heap::add_arenas(Diagnostics& diagnostics) {
  const auto table = dump_->memory.read_pointer(process_->mheap + process_->layout.offset(Field::mheap_arenas));
  if (!table) {
    diagnostics.add("go_heap_unread", "the table of the Go heap's arenas is not in the core");
    return;
  }
  for_each_word(dump_->memory, AddressRange::of(*table, kArenas * 8), [&](uint64_t offset, uint64_t metadata) {
    const Address begin{offset / 8 * kArenaBytes + arena_base(dump_->process.architecture)};
    arena_metadata_.push_back({AddressRange::of(begin, kArenaBytes), Address{metadata}});
  });
  std::ranges::sort(arena_metadata_, {}, [](const Arena& arena) { return arena.range.begin; });
  const auto unread = std::ranges::count_if(arena_metadata_, [&](const Arena& arena) {
    return !dump_->memory.read_pointer(arena.metadata + process_->layout.offset(Field::heapArena_spans));
  });
  if (unread > 0)
    diagnostics.add(
        "go_arenas_unread",
        "arenas of the Go heap of which the core lacks what the run-time notes: where their pointers are may "
        "be unknown",
        static_cast<uint64_t>(unread));
  for (const Arena& arena : arena_metadata_)
    for (AddressRange part : mapped_parts(*dump_, arena.range)) arenas_.push_back(part);
  arenas_ = merged(std::move(arenas_));
}

void Heap::add_spans(Diagnostics& diagnostics) {
  const auto all = read_slice(dump_->memory, process_->mheap + process_->layout.offset(Field::mheap_allspans));
  if (!all || all->length > all->capacity || all->length > kMaxSpans) {
    diagnostics.add("go_heap_unread", "the list of the Go heap's spans cannot be read");
    return;
  }
  uint64_t seen = 0, broken = 0, doubtful = 0;
  for_each_word(dump_->memory, AddressRange::of(all->data, all->length * 8), [&](uint64_t, uint64_t address) {
    ++seen;
    const auto span = read_span(Address{address});
    if (!span) {
      ++broken;
    } else if (span->state != SpanState::dead) {
      spans_.push_back(*span);
    }
  });
  broken += all->length - seen;
  std::ranges::sort(spans_, {}, &Span::begin);
  Address end_of_last;
  broken += std::erase_if(spans_, [&](const Span& span) {
    if (span.begin < end_of_last || arena_of(span.begin) == nullptr) return true;
    end_of_last = span.range().end;
    doubtful += span.is_doubtful ? 1 : 0;
    return false;
  });
  if (broken > 0)
    diagnostics.add("go_spans_unread", "spans of the Go heap that are missing, impossible or overlap others", broken);
  if (doubtful > 0)
    diagnostics.add("go_spans_doubtful", "spans of the Go heap that contradict themselves: taken as far as they go",
                    doubtful);
}

std::optional<Span> Heap::read_span(Address at) const {
  const Layout& layout = process_->layout;
  const Bytes bytes = dump_->memory.read_exactly(at, layout.offset(Field::mspan_size));
  if (bytes.empty()) return std::nullopt;
  const Record record(bytes, layout);
  Span span;
  span.state = SpanState{record.get<uint8_t>(Field::mspan_state)};
  if (span.state == SpanState::dead) return span;
  if (span.state > SpanState::manual) return std::nullopt;
  span.begin = record.address(Field::mspan_startAddr);
  const auto pages = record.get<uint64_t>(Field::mspan_npages);
  if (pages > kMaxSpanBytes / kPageBytes) return std::nullopt;
  span.size_bytes = pages * kPageBytes;
  span.element_bytes = record.get<uint64_t>(Field::mspan_elemsize);
  const uint64_t elements = record.number(Field::mspan_nelems);
  const uint64_t free_index = record.number(Field::mspan_freeindex);
  span.elements = static_cast<uint32_t>(std::min<uint64_t>(elements, UINT32_MAX));
  span.free_index = static_cast<uint32_t>(std::min<uint64_t>(free_index, span.elements));
  span.limit = record.address(Field::mspan_limit);
  span.alloc_bits = record.address(Field::mspan_allocBits);
  span.specials = record.address(Field::mspan_specials);
  span.sweep_gen = record.get<uint32_t>(Field::mspan_sweepgen);
  const auto span_class = record.get<uint8_t>(Field::mspan_spanclass);
  span.noscan = (span_class & 1) != 0;
  span.is_arena = record.get<uint8_t>(Field::mspan_isUserArenaChunk) != 0;
  if (!is_sane(span)) return std::nullopt;
  span.is_doubtful = span.state == SpanState::in_use && !agrees_with_itself(span, free_index, span_class);
  if (span.state != SpanState::in_use || span.noscan || !layout.has(Field::mspan_largeType)) return span;
  if (span_class >> 1 == 0) {
    span.large_type = record.address(Field::mspan_largeType);
  } else if (span.element_bytes <= kMaxHeapBitsSlot) {
    span.heap_bits = span.range().end - span.size_bytes / 64 - (has_inline_marks(span) ? kInlineMarkBytes : 0);
    span.bits = dump_->memory.read(span.heap_bits, span.size_bytes / 64);
  } else {
    span.has_headers = true;
  }
  return span;
}

bool Heap::has_inline_marks(const Span& span) const {
  if (!process_->layout.has(Field::heapArena_pageUseSpanInlineMarkBits)) return false;
  const Arena* arena = arena_of(span.begin);
  if (arena == nullptr) return false;
  const uint64_t page = (span.begin - arena->range.begin) / kPageBytes;
  const auto bits = dump_->memory.read<uint8_t>(
      arena->metadata + process_->layout.offset(Field::heapArena_pageUseSpanInlineMarkBits) + page / 8);
  return bits && (*bits >> page % 8 & 1) != 0;
}

const Heap::Arena* Heap::arena_of(Address address) const {
  auto at =
      std::ranges::upper_bound(arena_metadata_, address, {}, [](const Arena& arena) { return arena.range.begin; });
  if (at == arena_metadata_.begin() || !std::prev(at)->range.contains(address)) return nullptr;
  return &*std::prev(at);
}

const Span* Heap::find(Address address) const {
  auto at = std::ranges::upper_bound(spans_, address, {}, &Span::begin);
  if (at == spans_.begin() || !std::prev(at)->range().contains(address)) return nullptr;
  return &*std::prev(at);
}

bool Heap::allocated(const Span& span, std::vector<uint8_t>& slots) const {
  slots.assign(span.elements, 1);
  if (span.free_index >= span.elements) return true;
  const Bytes bits = dump_->memory.read(span.alloc_bits, (uint64_t{span.elements} + 7) / 8);
  for (uint64_t slot = span.free_index; slot < span.elements && slot / 8 < bits.size(); ++slot)
    slots[slot] = static_cast<uint8_t>(bits[slot / 8]) >> slot % 8 & 1;
  return bits.size() * 8 >= span.elements;
}

uint64_t Heap::allocated_bytes() const {
  uint64_t sum = 0;
  for (const Span& span : spans_) {
    if (span.state != SpanState::in_use) continue;
    uint64_t slots = span.free_index;
    const Bytes bits = dump_->memory.read(span.alloc_bits, (uint64_t{span.elements} + 7) / 8);
    for (uint64_t slot = span.free_index; slot < std::min<uint64_t>(span.elements, bits.size() * 8); ++slot)
      slots += static_cast<uint8_t>(bits[slot / 8]) >> slot % 8 & 1;
    sum += slots * span.element_bytes;
  }
  return sum;
}

uint64_t Heap::pointer_bits(const Span& span, AddressRange slot, Address at, bool& is_last) const {
  is_last = slot.end - at <= 64 * 8;
  uint64_t bits = 0;
  if (span.heap_bits) {
    const uint64_t word = (at - span.begin) / 8;
    auto word_of_bits = [&](uint64_t i) {
      return i * 8 + 8 <= span.bits.size() ? load<uint64_t>(span.bits.data() + i * 8) : 0;
    };
    bits = word_of_bits(word / 64) >> word % 64;
    if (word % 64 != 0 && 64 - word % 64 < (slot.end - at) / 8) bits |= word_of_bits(word / 64 + 1) << (64 - word % 64);
  } else if (process_->layout.minor() < kArenaBitmap) {
    bits = arena_bit_pairs(at, is_last);
  } else {
    bits = arena_bits(at, is_last);
  }
  const uint64_t words = (slot.end - at) / 8;
  return words < 64 ? bits & ((uint64_t{1} << words) - 1) : bits;
}

// One bit per word; behind a word of bits that is marked, an object has no more pointers and what stands there is old.
// An object may begin within a word of bits: what is returned then reaches over its end, which the caller cuts off.
uint64_t Heap::arena_bits(Address at, bool& is_last) const {
  const Arena* arena = arena_of(at);
  if (arena == nullptr) return 0;
  const Layout& layout = process_->layout;
  const uint64_t word = (at - arena->range.begin) / 8;
  const Address bitmap = arena->metadata + layout.offset(Field::heapArena_bitmap);
  const Address ends = arena->metadata + layout.offset(Field::heapArena_noMorePtrs);
  auto word_of_bits = [&](uint64_t i) { return dump_->memory.read_word(bitmap + i * 8).value_or(0); };
  auto ends_at = [&](uint64_t i) { return (dump_->memory.read<uint8_t>(ends + i / 8).value_or(0) >> i % 8 & 1) != 0; };
  const uint64_t first = word / 64;
  uint64_t bits = word_of_bits(first) >> word % 64;
  if (ends_at(first)) {
    is_last = true;
  } else if (word % 64 != 0) {
    bits |= word_of_bits(first + 1) << (64 - word % 64);
  }
  return bits;
}

// Two bits per word, four words in a byte: the low half says which are pointers, the high half until where to look.
uint64_t Heap::arena_bit_pairs(Address at, bool& is_last) const {
  const Arena* arena = arena_of(at);
  if (arena == nullptr) return 0;
  const Address bitmap = arena->metadata + process_->layout.offset(Field::heapArena_bitmap);
  const uint64_t word = (at - arena->range.begin) / 8;
  const Bytes pairs = dump_->memory.read(bitmap + word / 4, 17);
  uint64_t bits = 0;
  for (uint64_t i = 0; i < 64; ++i) {
    const uint64_t byte = (word % 4 + i) / 4;
    if (byte >= pairs.size()) break;
    const auto pair = static_cast<uint8_t>(pairs[byte]) >> (word + i) % 4;
    if ((pair & 0x10) == 0) {
      is_last = true;
      break;
    }
    bits |= static_cast<uint64_t>(pair & 1) << i;
  }
  return bits;
}

}  // namespace heapwalk::go
