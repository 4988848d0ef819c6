#include "heapwalk/runtimes/go/heap/heap_decoder.h"

#include <algorithm>

#include "heapwalk/roots/word_scan.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kRegionBytes = uint64_t{64} << 20;  // work for one worker

class Decoder final : public HeapDecoder {
 public:
  explicit Decoder(const Heap& heap) : heap_(heap) {
    facts_ = {.name = "go",
              .version = heap.process().version,
              .evidence = heap.process().has_symbols ? "symbol runtime.mheap_" : "structure of runtime.mheap_"};
    std::vector<AddressRange> foreign;  // stacks, and what the run-time keeps for itself
    for (const Span& span : heap.spans())
      if (span.state == SpanState::manual) foreign.push_back(span.range());
    foreign = merged(std::move(foreign));
    for (AddressRange arena : heap.arenas())
      for (AddressRange part : subtract(arena, foreign)) add_regions(part);
  }

  const AllocatorFacts& facts() const override { return facts_; }
  std::span<const HeapRegion> regions() const override { return regions_; }
  uint32_t granule_bytes() const override { return 8; }
  std::span<const AddressRange> private_ranges() const override { return {}; }
  std::span<const Address> private_words() const override { return {}; }

  void walk(size_t region, AllocationSink& sink, Diagnostics& diagnostics) const override {
    const AddressRange range = regions_[region].range;
    Address idle = range.begin;
    std::vector<uint8_t> slots;
    uint64_t unknown = 0;
    for (const Span& span : spans_in(range)) {
      if (span.state != SpanState::in_use) continue;
      if (span.begin > idle) sink.add(idle, span.begin - idle, AllocationState::free);
      if (!heap_.allocated(span, slots)) ++unknown;
      add_slots(span, slots, sink);
      idle = span.range().end;
    }
    if (range.end > idle) sink.add(idle, range.end - idle, AllocationState::free);
    if (unknown > 0)
      diagnostics.add("go_alloc_bits_absent",
                      "spans of the Go heap whose bits the core lacks: all their slots count as used", unknown);
  }

 private:
  // A part of an arena without foreign bytes, in pieces that end where a span does.
  void add_regions(AddressRange part) {
    while (!part.empty()) {
      Address end = part.begin + std::min(part.size_bytes(), kRegionBytes);
      if (end < part.end)
        if (const Span* span = heap_.find(end); span != nullptr) end = std::min(span->range().end, part.end);
      regions_.push_back({{part.begin, end}, "heap"});
      part.begin = end;
    }
  }

  std::span<const Span> spans_in(AddressRange range) const {
    const auto spans = heap_.spans();
    const auto first = std::ranges::lower_bound(spans, range.begin, {}, &Span::begin);
    const auto last = std::ranges::lower_bound(spans, range.end, {}, &Span::begin);
    return spans.subspan(static_cast<size_t>(first - spans.begin()), static_cast<size_t>(last - first));
  }

  static void add_slots(const Span& span, const std::vector<uint8_t>& slots, AllocationSink& sink) {
    for (uint64_t slot = 0; slot < slots.size(); ++slot) {
      if (slots[slot] != 0) {
        sink.add(span.slot(slot).begin, span.element_bytes, AllocationState::used);
        continue;
      }
      const uint64_t first = slot;
      while (slot + 1 < slots.size() && slots[slot + 1] == 0) ++slot;
      sink.add(span.slot(first).begin, span.slot(slot).end - span.slot(first).begin, AllocationState::free);
    }
  }

  const Heap& heap_;
  AllocatorFacts facts_;
  std::vector<HeapRegion> regions_;
};

}  // namespace

std::unique_ptr<HeapDecoder> make_heap_decoder(const Heap& heap) {
  return std::make_unique<Decoder>(heap);
}

}  // namespace heapwalk::go
