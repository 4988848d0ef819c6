// The counters behind runtime.MemStats, read as runtime.ReadMemStats reads them.
//
//     memstats.heapStats.stats[3]   three shards, to be added up: allocations and frees by size, stacks, …
//   + allp[i].mcache                what each P allocated from its cached spans and has not reported yet
//     gcController                  sizes of the heap's parts, the collector's goal
//     memstats, mheap_              the run-time's own memory, collections and their pauses
//
// ReadMemStats empties the caches first, which may move a span or a stack from one count to another; a core is read as it is.
// Source: Go 1.19 … 1.27 runtime/mstats.go (readmemstats_m), mcache.go (releaseAll), mgcpacer.go (heapGoalInternal).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dump/base/result.h"
#include "heapwalk/runtimes/go/program/process.h"

namespace heapwalk::go {

constexpr size_t kSizeClasses = 68;  // 0: large objects
extern const std::array<uint16_t, kSizeClasses> kSizeClassBytes;

struct HeapCounters {
  struct Class {
    uint64_t allocations = 0, frees = 0;
  };
  std::array<Class, kSizeClasses> classes;
  uint64_t large_bytes = 0, large_freed_bytes = 0, large_allocations = 0, large_frees = 0;
  uint64_t tiny_allocations = 0;  // of objects that share a slot
  uint64_t stack_bytes = 0, work_buffer_bytes = 0, mask_bytes = 0;

  uint64_t in_use_bytes = 0, free_bytes = 0, released_bytes = 0, mapped_ready_bytes = 0;
  uint64_t marked_bytes = 0, percent_goal_bytes = 0, sweep_minimum_bytes = 0, triggered_bytes = 0;
  int32_t percent = 0;       // GOGC; negative: off
  int64_t memory_limit = 0;  // GOMEMLIMIT; INT64_MAX: off

  uint64_t stacks_system = 0, spans_system = 0, caches_system = 0, profile_system = 0, collector_system = 0,
           other_system = 0;
  uint64_t spans_in_use_bytes = 0, caches_in_use_bytes = 0;
  uint64_t last_collection_unix_ns = 0, pause_total_ns = 0;
  uint32_t collections = 0, forced_collections = 0;
  double cpu_fraction = 0;
  std::array<uint64_t, 256> pause_ns{}, pause_end{};  // circular: the last is at (collections + 255) % 256

  uint64_t allocated_bytes() const;  // since the start
  uint64_t freed_bytes() const;
  uint64_t allocations() const;
  uint64_t frees() const;
  uint64_t system_bytes() const;
  // The heap size at which the next collection shall end. `release`: of Go 1.release.
  uint64_t heap_goal(int release) const;
};

Result<HeapCounters> read_heap_counters(const CoreDump& dump, const Process& process);

}  // namespace heapwalk::go
