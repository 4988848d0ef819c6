#include "heapwalk/runtimes/go/heap/heap_counters.h"

#include <algorithm>

#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {

// The same in Go 1.19 … 1.27.
const std::array<uint16_t, kSizeClasses> kSizeClassBytes = {
    0,    8,    16,   24,    32,    48,    64,    80,    96,    112,   128,   144,   160,   176,   192,   208,   224,
    240,  256,  288,  320,   352,   384,   416,   448,   480,   512,   576,   640,   704,   768,   896,   1024,  1152,
    1280, 1408, 1536, 1792,  2048,  2304,  2688,  3072,  3200,  3456,  4096,  4864,  5376,  6144,  6528,  6784,  6912,
    8192, 9472, 9728, 10240, 10880, 12288, 13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768};

namespace {

constexpr uint64_t kShards = 3;
constexpr uint64_t kMaxProcessors = 1 << 16;
constexpr uint64_t kSpanClasses = 2 * kSizeClasses;  // each size with and without pointers

// Reads fields and remembers whether one was missing.
class Reader {
 public:
  Reader(const AddressSpace& memory, const Layout& layout) : memory_(memory), layout_(layout) {}

  template <class T>
  T read(Address at, Field field, uint64_t inner = 0) {
    if (!layout_.has(field)) return T{};
    const auto value = memory_.read<T>(at + layout_.offset(field) + inner);
    complete_ = complete_ && value.has_value();
    return value.value_or(T{});
  }
  uint64_t word(Address at, Field field, uint64_t inner = 0) { return read<uint64_t>(at, field, inner); }
  bool complete() const { return complete_; }

 private:
  const AddressSpace& memory_;
  const Layout& layout_;
  bool complete_ = true;
};

void add_shard(Reader& reader, Address shard, HeapCounters& counters) {
  counters.large_bytes += reader.word(shard, Field::heapStatsDelta_largeAlloc);
  counters.large_freed_bytes += reader.word(shard, Field::heapStatsDelta_largeFree);
  counters.large_allocations += reader.word(shard, Field::heapStatsDelta_largeAllocCount);
  counters.large_frees += reader.word(shard, Field::heapStatsDelta_largeFreeCount);
  counters.tiny_allocations += reader.word(shard, Field::heapStatsDelta_tinyAllocCount);
  counters.stack_bytes += reader.word(shard, Field::heapStatsDelta_inStacks);
  counters.work_buffer_bytes += reader.word(shard, Field::heapStatsDelta_inWorkBufs);
  counters.mask_bytes += reader.word(shard, Field::heapStatsDelta_inPtrScalarBits);
  for (size_t i = 0; i < kSizeClasses; ++i) {
    counters.classes[i].allocations += reader.word(shard, Field::heapStatsDelta_smallAllocCount, 8 * i);
    counters.classes[i].frees += reader.word(shard, Field::heapStatsDelta_smallFreeCount, 8 * i);
  }
}

void add_cache(Reader& reader, Address cache, HeapCounters& counters) {
  counters.tiny_allocations += reader.word(cache, Field::mcache_tinyAllocs);
  for (size_t i = 0; i < kSpanClasses; ++i) {
    const Address span{reader.word(cache, Field::mcache_alloc, 8 * i)};
    if (!span) continue;  // "no span" is an empty one, which adds nothing
    const uint64_t used = reader.read<uint16_t>(span, Field::mspan_allocCount);
    counters.classes[i / 2].allocations += used - reader.read<uint16_t>(span, Field::mspan_allocCountBeforeCache);
  }
}

void read_controller(Reader& reader, Address at, HeapCounters& counters) {
  counters.in_use_bytes = reader.word(at, Field::gcControllerState_heapInUse);
  counters.free_bytes = reader.word(at, Field::gcControllerState_heapFree);
  counters.released_bytes = reader.word(at, Field::gcControllerState_heapReleased);
  counters.mapped_ready_bytes = reader.word(at, Field::gcControllerState_mappedReady);
  counters.marked_bytes = reader.word(at, Field::gcControllerState_heapMarked);
  counters.percent_goal_bytes = reader.word(at, Field::gcControllerState_gcPercentHeapGoal);
  counters.sweep_minimum_bytes = reader.word(at, Field::gcControllerState_sweepDistMinTrigger);
  counters.triggered_bytes = reader.word(at, Field::gcControllerState_triggered);
  counters.percent = reader.read<int32_t>(at, Field::gcControllerState_gcPercent);
  counters.memory_limit = reader.read<int64_t>(at, Field::gcControllerState_memoryLimit);
}

void read_statistics(Reader& reader, Address at, HeapCounters& counters) {
  counters.stacks_system = reader.word(at, Field::mstats_stacks_sys);
  counters.spans_system = reader.word(at, Field::mstats_mspan_sys);
  counters.caches_system = reader.word(at, Field::mstats_mcache_sys);
  counters.profile_system = reader.word(at, Field::mstats_buckhash_sys);
  counters.collector_system = reader.word(at, Field::mstats_gcMiscSys);
  counters.other_system = reader.word(at, Field::mstats_other_sys);
  counters.last_collection_unix_ns = reader.word(at, Field::mstats_last_gc_unix);
  counters.pause_total_ns = reader.word(at, Field::mstats_pause_total_ns);
  counters.collections = reader.read<uint32_t>(at, Field::mstats_numgc);
  counters.forced_collections = reader.read<uint32_t>(at, Field::mstats_numforcedgc);
  counters.cpu_fraction = reader.read<double>(at, Field::mstats_gc_cpu_fraction);
  counters.pause_ns = reader.read<std::array<uint64_t, 256>>(at, Field::mstats_pause_ns);
  counters.pause_end = reader.read<std::array<uint64_t, 256>>(at, Field::mstats_pause_end);
}

// What the memory limit allows. The last percents are headroom, a fixed size before Go 1.21.
uint64_t limit_goal(const HeapCounters& counters, int release) {
  constexpr uint64_t kMinimumHeadroom = 1 << 20;
  const auto limit = static_cast<uint64_t>(counters.memory_limit);
  const uint64_t objects = counters.allocated_bytes() - counters.freed_bytes();
  const uint64_t other = counters.mapped_ready_bytes - counters.free_bytes - objects;
  const uint64_t beyond = counters.mapped_ready_bytes > limit ? counters.mapped_ready_bytes - limit : 0;
  if (other + beyond >= limit) return counters.marked_bytes;
  uint64_t goal = limit - (other + beyond);
  const uint64_t headroom = release < 21 ? kMinimumHeadroom : std::max(goal / 100 * 3, kMinimumHeadroom);
  goal = goal < headroom || goal - headroom < headroom ? headroom : goal - headroom;
  return std::max(goal, counters.marked_bytes);
}

}  // namespace

uint64_t HeapCounters::allocated_bytes() const {
  uint64_t sum = large_bytes;
  for (size_t i = 0; i < kSizeClasses; ++i) sum += classes[i].allocations * kSizeClassBytes[i];
  return sum;
}

uint64_t HeapCounters::freed_bytes() const {
  uint64_t sum = large_freed_bytes;
  for (size_t i = 0; i < kSizeClasses; ++i) sum += classes[i].frees * kSizeClassBytes[i];
  return sum;
}

uint64_t HeapCounters::allocations() const {
  uint64_t sum = large_allocations + tiny_allocations;
  for (const Class& one : classes) sum += one.allocations;
  return sum;
}

// Tiny objects count as freed at once: nobody knows when they really are.
uint64_t HeapCounters::frees() const {
  uint64_t sum = large_frees + tiny_allocations;
  for (const Class& one : classes) sum += one.frees;
  return sum;
}

uint64_t HeapCounters::system_bytes() const {
  return in_use_bytes + free_bytes + released_bytes + stacks_system + spans_system + caches_system + profile_system +
         collector_system + other_system + stack_bytes + work_buffer_bytes + mask_bytes;
}

uint64_t HeapCounters::heap_goal(int release) const {
  constexpr uint64_t kMinimumRunway = 64 << 10;
  const uint64_t of_limit = limit_goal(*this, release);
  if (of_limit < percent_goal_bytes) return of_limit;
  uint64_t goal = std::max(percent_goal_bytes, sweep_minimum_bytes);
  if (triggered_bytes != UINT64_MAX) goal = std::max(goal, triggered_bytes + kMinimumRunway);
  return goal;
}

Result<HeapCounters> read_heap_counters(const CoreDump& dump, const Process& process) {
  const auto statistics = process.variable("runtime.memstats"), controller = process.variable("runtime.gcController"),
             processors = process.variable("runtime.allp");
  if (!statistics || !controller || !processors)
    return fail("{}: runtime.{} was not found: the program was stripped of its symbols (-ldflags=-s)", dump.path,
                !statistics   ? "memstats"
                : !controller ? "gcController"
                              : "allp");
  HeapCounters counters;
  const Layout& layout = process.layout;
  Reader reader(dump.memory, layout);
  const Address shards =
      *statistics + layout.offset(Field::mstats_heapStats) + layout.offset(Field::consistentHeapStats_stats);
  for (uint64_t i = 0; i < kShards; ++i)
    add_shard(reader, shards + i * layout.offset(Field::heapStatsDelta_size), counters);
  const auto list = read_slice(dump.memory, *processors);
  if (!list || list->length > kMaxProcessors) return fail("{}: runtime.allp could not be read", dump.path);
  for (uint64_t i = 0; i < list->length; ++i) {
    const Address processor = dump.memory.read_pointer(list->data + 8 * i).value_or(Address{});
    const Address cache = processor ? Address{reader.word(processor, Field::p_mcache)} : Address{};
    if (cache) add_cache(reader, cache, counters);
  }
  read_controller(reader, *controller, counters);
  read_statistics(reader, *statistics, counters);
  counters.spans_in_use_bytes = reader.word(process.mheap, Field::mheap_spanalloc_inuse);
  counters.caches_in_use_bytes = reader.word(process.mheap, Field::mheap_cachealloc_inuse);
  if (!reader.complete()) return fail("{}: parts of Go's memory statistics are not in the core", dump.path);
  return counters;
}

}  // namespace heapwalk::go
