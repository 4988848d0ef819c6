#include "heapwalk/runtimes/go/profiles/memory_statistics.h"

#include <algorithm>

#include "dump/stored_parts.h"
#include "heapwalk/runtimes/go/heap/heap.h"
#include "heapwalk/runtimes/go/heap/heap_counters.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kPage = 4096;

using enum StatisticUnit;

bool is_zero(Bytes page) {
  uint64_t any = 0;
  size_t at = 0;
  for (; at + 64 <= page.size() && any == 0; at += 64)
    for (size_t word = 0; word < 64; word += 8) any |= load<uint64_t>(page.data() + at + word);
  for (; at < page.size(); ++at) any |= static_cast<uint64_t>(page[at]);
  return any == 0;
}

// Pages with anything but zeros. Those that the process never touched, or gave back, read as zeros in a core.
uint64_t bytes_with_data(Bytes bytes) {
  uint64_t result = 0;
  for (uint64_t at = 0; at < bytes.size(); at += kPage) {
    const Bytes page = bytes.subspan(at, std::min(kPage, bytes.size() - at));
    if (!is_zero(page)) result += page.size();
  }
  return result;
}

uint64_t bytes_with_data(const AddressSpace& memory, AddressRange range) {
  uint64_t result = 0;
  while (!range.empty()) {
    const Bytes known = memory.read(range.begin, range.size_bytes());
    if (known.empty()) {
      const Region* region = memory.find(range.begin);
      if (region == nullptr) break;
      range.begin = region->range.end;
      continue;
    }
    result += bytes_with_data(known);
    range.begin += known.size();
  }
  return result;
}

// Address space that is only reserved cannot be read, and does not count.
void add_kernel_side(const CoreDump& dump, const Heap& heap, MemoryBalance& balance) {
  const auto stored = StoredParts::of(dump);
  balance.is_resident_exact = stored.has_value();
  for (const Mapping& mapping : dump.mappings) {
    if (!mapping.readable) continue;
    for (AddressRange arena : heap.arenas()) {
      const AddressRange part = mapping.range.intersect(arena);
      balance.mapped_bytes += part.size_bytes();
      balance.resident_bytes += stored ? stored->bytes(mapping, part) : bytes_with_data(dump.memory, part);
    }
  }
}

std::vector<Statistic> rows_of(const HeapCounters& counters, int release) {
  const uint64_t allocated = counters.allocated_bytes(), live = allocated - counters.freed_bytes();
  const uint64_t allocations = counters.allocations(), frees = counters.frees();
  const uint64_t idle = counters.free_bytes + counters.released_bytes;
  return {
      {"Alloc", "bytes in objects, live or not collected yet", bytes, live},
      {"TotalAlloc", "bytes ever allocated", bytes, allocated},
      {"Sys", "bytes that the run-time has from the system, in all", bytes, counters.system_bytes()},
      {"Mallocs", "objects ever allocated", count, allocations},
      {"Frees", "objects ever freed", count, frees},
      {"HeapAlloc", "as Alloc", bytes, live},
      {"HeapSys", "address space of the heap that was ever used", bytes, counters.in_use_bytes + idle},
      {"HeapIdle", "spans without objects", bytes, idle},
      {"HeapInuse", "spans with objects", bytes, counters.in_use_bytes},
      {"HeapReleased", "of HeapIdle: given back to the system", bytes, counters.released_bytes},
      {"HeapObjects", "objects, live or not collected yet", count, allocations - frees},
      {"StackInuse", "spans of goroutine stacks", bytes, counters.stack_bytes},
      {"StackSys", "StackInuse, and stacks of threads", bytes, counters.stack_bytes + counters.stacks_system},
      {"MSpanInuse", "the run-time's span structures", bytes, counters.spans_in_use_bytes},
      {"MSpanSys", "memory for them", bytes, counters.spans_system},
      {"MCacheInuse", "the run-time's caches, one per processor", bytes, counters.caches_in_use_bytes},
      {"MCacheSys", "memory for them", bytes, counters.caches_system},
      {"BuckHashSys", "profiles", bytes, counters.profile_system},
      {"GCSys", "the collector's own", bytes,
       counters.collector_system + counters.work_buffer_bytes + counters.mask_bytes},
      {"OtherSys", "else of the run-time", bytes, counters.other_system},
      {"NextGC", "heap size at which the next collection shall end", bytes, counters.heap_goal(release)},
      {"LastGC", "end of the last collection", unix_nanoseconds, counters.last_collection_unix_ns},
      {"PauseTotalNs", "pauses of all collections together", nanoseconds, counters.pause_total_ns},
      {"NumGC", "collections", count, counters.collections},
      {"NumForcedGC", "of them, asked for by runtime.GC", count, counters.forced_collections},
      {"GCCPUFraction", "of the CPU time since the start, in the collector", fraction, 0, counters.cpu_fraction},
      {"GCPercent", "GOGC", percent, static_cast<uint64_t>(std::max(counters.percent, 0)), 0, counters.percent < 0},
      {"MemoryLimit", "GOMEMLIMIT", bytes, static_cast<uint64_t>(counters.memory_limit), 0,
       counters.memory_limit == INT64_MAX},
  };
}

std::vector<OwnStatistics::Pause> pauses_of(const HeapCounters& counters) {
  const size_t size = counters.pause_ns.size();
  std::vector<OwnStatistics::Pause> pauses;
  for (size_t i = 0; i < std::min<size_t>(counters.collections, size); ++i) {
    const size_t at = (counters.collections + size - 1 - i) % size;
    pauses.push_back({counters.pause_end[at], counters.pause_ns[at]});
  }
  return pauses;
}

}  // namespace

Result<OwnStatistics> read_memory_statistics(const CoreDump& dump, Diagnostics& diagnostics) {
  const auto process = find_process(dump, diagnostics);
  if (!process) return fail("{}: no run-time that keeps statistics is in this process (known: Go)", dump.path);
  const auto counters = read_heap_counters(dump, *process);
  if (!counters) return std::unexpected(counters.error());
  OwnStatistics result;
  result.runtime = process->version;
  result.rows = rows_of(*counters, process->layout.minor());
  result.pauses = pauses_of(*counters);
  for (size_t i = 1; i < kSizeClasses; ++i)
    result.size_classes.push_back({kSizeClassBytes[i], counters->classes[i].allocations, counters->classes[i].frees});
  MemoryBalance& balance = result.balance;
  balance.object_bytes = counters->allocated_bytes() - counters->freed_bytes();
  balance.marked_bytes = counters->marked_bytes;
  balance.span_bytes = counters->in_use_bytes;
  balance.idle_bytes = counters->free_bytes;
  balance.released_bytes = counters->released_bytes;
  balance.stack_bytes = counters->stack_bytes;
  balance.other_bytes =
      counters->system_bytes() - balance.span_bytes - balance.idle_bytes - balance.released_bytes - balance.stack_bytes;
  if (const auto heap = Heap::read(dump, *process, diagnostics)) add_kernel_side(dump, *heap, balance);
  return result;
}

}  // namespace heapwalk::go
