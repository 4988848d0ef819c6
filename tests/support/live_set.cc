#include "tests/support/live_set.h"

#include <algorithm>

#include <fmt/format.h>

namespace heapwalk {

DecodedHeap decode_glibc(const CoreDump& dump, const GlibcOptions& options) {
  DecodedHeap heap;
  heap.decoder = detect_glibc(dump, options, heap.diagnostics);
  if (heap.decoder == nullptr) return heap;
  std::vector<AllocationSink> sinks;
  for (size_t i = 0; i < heap.decoder->regions().size(); ++i) {
    AllocationSink sink(heap.decoder->regions()[i].range, 0, heap.decoder->granule_bytes());
    heap.decoder->walk(i, sink, heap.diagnostics);
    heap.totals.push_back(sink.totals());
    heap.dropped += sink.dropped();
    sinks.push_back(std::move(sink));
  }
  heap.objects = ObjectIndex::build(std::move(sinks), heap.diagnostics);
  return heap;
}

std::vector<Allocation> DecodedHeap::blocks(AllocationState wanted) const {
  std::vector<Allocation> result;
  objects.for_each(0, objects.size(), [&](ObjectId, Address address, uint64_t size, AllocationState state) {
    if (state == wanted) result.push_back({address, size, state, 0});
  });
  return result;
}

uint64_t DecodedHeap::unexplained_bytes() const {
  uint64_t sum = 0;
  for (const StateTotals& region : totals) sum += region.unexplained_bytes;
  return sum;
}

LiveSetDifference compare(const Truth& truth, const DecodedHeap& heap) {
  LiveSetDifference difference;
  std::vector<Allocation> used = heap.blocks(AllocationState::used);
  auto row = truth.live.begin();
  for (const Allocation& block : used) {
    for (; row != truth.live.end() && row->address < block.address; ++row) difference.missing.push_back(*row);
    if (row == truth.live.end() || row->address != block.address) {
      difference.extra.push_back(block);
      continue;
    }
    if (row->usable_bytes == block.size_bytes)
      ++difference.matched;
    else
      difference.wrong_size.push_back(*row);
    ++row;
  }
  difference.missing.insert(difference.missing.end(), row, truth.live.end());
  return difference;
}

std::string LiveSetDifference::text() const {
  std::string result = fmt::format("{} match, {} missing, {} extra, {} of another size", matched, missing.size(),
                                   extra.size(), wrong_size.size());
  for (size_t i = 0; i < std::min<size_t>(missing.size(), 5); ++i) {
    result += fmt::format("\n  missing {:#x} ({} bytes usable)", missing[i].address.value, missing[i].usable_bytes);
  }
  for (size_t i = 0; i < std::min<size_t>(extra.size(), 5); ++i) {
    result += fmt::format("\n  extra {:#x} ({} bytes)", extra[i].address.value, extra[i].size_bytes);
  }
  for (size_t i = 0; i < std::min<size_t>(wrong_size.size(), 5); ++i) {
    result += fmt::format("\n  size of {:#x} should be {}", wrong_size[i].address.value, wrong_size[i].usable_bytes);
  }
  return result;
}

std::string accounting_violation(const DecodedHeap& heap) {
  if (heap.dropped != 0) return fmt::format("{} blocks broke the order or their region", heap.dropped);
  Address end;
  for (size_t i = 0; i < heap.totals.size(); ++i) {
    const HeapRegion& region = heap.decoder->regions()[i];
    if (region.range.empty() || region.range.begin < end)
      return fmt::format("region {} is empty or overlaps", region.name);
    end = region.range.end;
    uint64_t sum = heap.totals[i].unexplained_bytes;
    for (uint64_t bytes : heap.totals[i].bytes) sum += bytes;
    if (sum > region.range.size_bytes()) {
      return fmt::format("{} at {:#x}: {} bytes accounted for, {} owned", region.name, region.range.begin.value, sum,
                         region.range.size_bytes());
    }
  }
  return "";
}

}  // namespace heapwalk
