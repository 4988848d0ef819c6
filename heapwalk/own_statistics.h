// What the program's own run-time counts about its memory, as it would have answered at that moment.
//
//     Sys ──┬─ HeapSys ──┬─ HeapInuse ──┬─ HeapAlloc            objects: live, or not collected yet
//           │            │              └─ the rest of spans    free slots
//           │            └─ HeapIdle ───┬─ kept                 the system still counts it: "RSS does not go down"
//           │                           └─ HeapReleased         given back
//           ├─ StackSys                                         goroutine stacks
//           └─ the run-time's own: spans, caches, profiles, the collector's
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/diagnostics.h"
#include "dump/base/result.h"
#include "dump/core_dump.h"

namespace heapwalk {

enum class StatisticUnit : uint8_t { bytes, count, nanoseconds, unix_nanoseconds, percent, fraction };

struct Statistic {
  std::string_view name;     // the run-time's own name: "HeapAlloc"
  std::string_view meaning;  // in a few words
  StatisticUnit unit = StatisticUnit::bytes;
  uint64_t value = 0;
  double fraction = 0;  // instead of `value`, for that unit
  bool is_off = false;  // a limit that is not set
};

// Where the heap's memory is, by the run-time and by what the core shows of the kernel's side.
struct MemoryBalance {
  uint64_t object_bytes = 0;    // live, or not collected yet
  uint64_t marked_bytes = 0;    // found live by the last collection
  uint64_t span_bytes = 0;      // in use for objects of some size
  uint64_t idle_bytes = 0;      // kept by the run-time for later, not given back
  uint64_t released_bytes = 0;  // given back to the system
  uint64_t stack_bytes = 0;     // of goroutines
  uint64_t other_bytes = 0;     // the run-time's own, outside the heap
  uint64_t mapped_bytes = 0;    // address space of the heap and the stacks, as the kernel maps it
  uint64_t resident_bytes = 0;  // of that, what was resident: at least, where the core file has lost its holes
  bool is_resident_exact = false;
};

struct OwnStatistics {
  struct Pause {
    uint64_t end_unix_ns = 0, duration_ns = 0;
  };
  struct SizeClass {
    uint64_t size_bytes = 0, allocations = 0, frees = 0;
  };
  std::string runtime;  // "go1.26.8"
  MemoryBalance balance;
  std::vector<Statistic> rows;
  std::vector<Pause> pauses;            // the last ones, newest first
  std::vector<SizeClass> size_classes;  // of small objects
};

// Errors: as read_own_profile.
Result<OwnStatistics> read_own_statistics(const CoreDump& dump, Diagnostics& diagnostics);

}  // namespace heapwalk
