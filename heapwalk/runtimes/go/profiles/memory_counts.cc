#include "heapwalk/runtimes/go/profiles/memory_counts.h"

#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {
namespace {

// Since Go 1.27 bytes are not counted: all objects of a bucket have one size.
std::optional<MemoryCounts> read_counts(const Record& record, uint64_t size_bytes) {
  const auto allocations = record.word(Field::memRecordCycle_allocs), frees = record.word(Field::memRecordCycle_frees);
  if (!allocations || !frees) return std::nullopt;
  if (!record.has(Field::memRecordCycle_alloc_bytes))
    return MemoryCounts{*allocations, *frees, *allocations * size_bytes, *frees * size_bytes};
  const auto allocated_bytes = record.word(Field::memRecordCycle_alloc_bytes);
  const auto freed_bytes = record.word(Field::memRecordCycle_free_bytes);
  if (!allocated_bytes || !freed_bytes) return std::nullopt;
  return MemoryCounts{*allocations, *frees, *allocated_bytes, *freed_bytes};
}

}  // namespace

std::optional<CountedBucket> count_bucket(const ProfileInputs& inputs, Bucket bucket) {
  const Layout& layout = inputs.process.layout;
  const uint64_t stride = layout.offset(Field::memRecordCycle_size);
  auto counts_at = [&](Address at) { return read_counts(Record(inputs.dump.memory, layout, at), bucket.size_bytes); };
  const auto active = counts_at(bucket.record + layout.offset(Field::memRecord_active));
  if (!active) return std::nullopt;
  CountedBucket result{{}, *active, {}};
  for (uint32_t i = 0; i < CountedBucket::kCycles; ++i) {
    const auto future = counts_at(bucket.record + layout.offset(Field::memRecord_future) + i * stride);
    if (!future) return std::nullopt;
    result.future[i] = *future;
  }
  result.bucket = std::move(bucket);
  return result;
}

}  // namespace heapwalk::go
