#include "heapwalk/runtimes/go/heap/heap_pointers.h"

#include <bit>

namespace heapwalk::go {
namespace {

constexpr uint64_t kGroupBytes = 64 * 8;  // what one word of bits speaks of

}  // namespace

const Span* HeapPointers::span_of(Address address) {
  if (span_ == nullptr || !span_->range().contains(address)) span_ = heap_.find(address);
  return span_;
}

Address HeapPointers::noted_type(const Span& span, AddressRange slot) const {
  if (!span.has_headers) return span.large_type;
  return heap_.dump().memory.read_pointer(slot.begin).value_or(Address{});
}

bool HeapPointers::read(AddressRange object, AddressRange window, std::vector<Address>& words) {
  const Span* span = span_of(object.begin);
  if (span == nullptr || span->state != SpanState::in_use) return false;
  if (span->noscan) return true;
  if (span->has_headers || (!span->heap_bits && heap_.process().layout.has(Field::mspan_largeType))) {
    const Address type = noted_type(*span, object);
    if (!type) return true;  // not yet: its memory is still being cleared, or the header was not written
    const PointerMask* mask = masks_.of(type);
    if (mask == nullptr) return false;
    tile({object.begin + (span->has_headers ? kHeaderBytes : 0), object.end}, window, *mask, words);
    return true;
  }
  if (span->heap_bits && span->bits.size() < span->size_bytes / 64) return false;
  bool is_last = false;
  for (Address at = window.begin; at < window.end && !is_last; at += kGroupBytes) {
    for (uint64_t bits = heap_.pointer_bits(*span, object, at, is_last); bits != 0; bits &= bits - 1) {
      const Address word = at + static_cast<uint64_t>(std::countr_zero(bits)) * 8;
      if (word < window.end) words.push_back(word);
    }
  }
  return true;
}

void HeapPointers::tile(AddressRange room, AddressRange window, const PointerMask& mask, std::vector<Address>& words) {
  if (!mask.has_pointers() || mask.size_bytes < 8) return;
  window = window.intersect(room);
  const uint64_t groups = (mask.words() + 63) / 64;
  const uint64_t skipped = (window.begin - room.begin) / mask.size_bytes * mask.size_bytes;
  for (Address tile = room.begin + skipped; tile < window.end; tile += mask.size_bytes) {
    uint64_t group = tile < window.begin ? (window.begin - tile) / kGroupBytes : 0;
    for (; group < groups && tile + group * kGroupBytes < window.end; ++group) {
      for (uint64_t bits = mask.group(group); bits != 0; bits &= bits - 1) {
        const Address word = tile + group * kGroupBytes + static_cast<uint64_t>(std::countr_zero(bits)) * 8;
        if (word >= window.begin && window.contains(AddressRange::of(word, 8))) words.push_back(word);
      }
    }
    if (window.end - tile <= mask.size_bytes) break;
  }
}

}  // namespace heapwalk::go
