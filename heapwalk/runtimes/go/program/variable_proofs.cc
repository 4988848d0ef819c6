#include "heapwalk/runtimes/go/program/variable_proofs.h"

#include <algorithm>
#include <bit>

#include "heapwalk/runtimes/go/program/goroutine_search.h"
#include "heapwalk/runtimes/go/program/record.h"
#include "heapwalk/runtimes/go/program/size_classes.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kChecked = 64;  // elements of one list or table
constexpr uint64_t kBlockBytes = 4096;
constexpr uint64_t kMaxStack = 1024 + 16;  // the largest GODEBUG=profstackdepth, and what is skipped later
constexpr uint64_t kMaxBytes = uint64_t{1} << 48;
constexpr uint64_t kSemaphoreRoots = 251;
constexpr Address kLogicalStack{
    UINT64_MAX};  // in front of a stack whose inlined calls are unfolded already (Go 1.23 …)

Record record_at(const Evidence& evidence, Address at) {
  return {evidence.memory, evidence.process.layout, at};
}

// Whether `holds` for the first elements of a list of which the word at `head` is the pointer to the first one.
template <class F>
Verdict proves_list(const Evidence& evidence, Address head, Field link, F holds) {
  const auto first = evidence.memory.read_pointer(head);
  if (!first) return Verdict::no;
  if (!*first) return Verdict::empty;
  Address at = *first;
  for (uint64_t i = 0; at && i < kChecked; ++i) {
    const Record record = record_at(evidence, at);
    const auto next = record.pointer(link);
    if (!at.is_aligned(8) || !next || !holds(record)) return Verdict::no;
    at = *next;
  }
  return Verdict::proved;
}

std::optional<std::string_view> text_at(const AddressSpace& memory, Address at) {
  const auto data = memory.read_pointer(at);
  const auto length = memory.read_word(at + 8);
  if (!data || !length || *length > 64) return std::nullopt;
  const Bytes bytes = memory.read_exactly(*data, *length);
  if (bytes.size() != *length) return std::nullopt;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; }) ? std::optional(text) : std::nullopt;
}

// Spans may be in the middle of being made or freed: nearly equal is enough.
bool is_span_bytes(const Evidence& evidence, uint64_t bytes) {
  const auto pages = record_at(evidence, evidence.process.mheap).word(Field::mheap_pagesInUse);
  if (!pages || *pages > kMaxBytes / kPageBytes || bytes > kMaxBytes) return false;
  const uint64_t expected = *pages * kPageBytes, difference = std::max(bytes, expected) - std::min(bytes, expected);
  return difference <= expected / 4 + (uint64_t{16} << 20);
}

// Collections that ended.
std::optional<uint64_t> collections(const Evidence& evidence) {
  const auto statistics = evidence.found.find("runtime.memstats");
  if (!statistics) return std::nullopt;
  const auto count = record_at(evidence, *statistics).read<uint32_t>(Field::mstats_numgc);
  return count ? std::optional<uint64_t>(*count) : std::nullopt;
}

Verdict proves_buckets(const Evidence& evidence, Address head, uint64_t type) {
  const uint64_t header = evidence.process.layout.offset(Field::bucket_sizeof);
  return proves_list(evidence, head, Field::bucket_allnext, [&](const Record& bucket) {
    const auto depth = bucket.word(Field::bucket_nstk);
    if (bucket.word(Field::bucket_typ) != type || !depth || *depth > kMaxStack) return false;
    const auto pc = evidence.memory.read_pointer(bucket.at() + header);
    return *depth == 0 || (pc && (*pc == kLogicalStack || evidence.process.module_of_text(*pc) != nullptr));
  });
}

template <class T>
Verdict proves_at_most(const Evidence& evidence, Address at, T most) {
  const auto value = evidence.memory.read<T>(at);
  if (!value || *value > most) return Verdict::no;
  return *value == 0 ? Verdict::empty : Verdict::possible;
}

}  // namespace

Verdict proves_finalizer_queue(const Evidence& evidence, Address at) {
  const Layout& layout = evidence.process.layout;
  const uint32_t first = layout.offset(Field::finBlock_fin), stride = layout.offset(Field::finalizer_size);
  return proves_list(evidence, at, Field::finBlock_alllink, [&](const Record& block) {
    const auto count = block.read<uint32_t>(Field::finBlock_cnt);
    if (!count || *count > (kBlockBytes - first) / stride) return false;
    for (uint64_t i = 0; i < *count; ++i) {
      const auto function = evidence.memory.read_pointer(block.at() + first + i * stride);
      if (!function || !*function) return false;
    }
    return true;
  });
}

Verdict proves_cleanup_queue(const Evidence& evidence, Address at) {
  const Layout& layout = evidence.process.layout;
  if (!layout.has(Field::cleanupBlock_cleanups)) return Verdict::no;
  const uint32_t first = layout.offset(Field::cleanupBlock_cleanups);
  return proves_list(evidence, at + layout.offset(Field::cleanupQueue_all), Field::cleanupBlock_alllink,
                     [&](const Record& block) {
                       const auto count = block.read<uint32_t>(Field::cleanupBlock_n);
                       return count && *count <= (kBlockBytes - first) / 8;
                     });
}

Verdict proves_goroutines(const Evidence& evidence, Address at) {
  const auto slice = read_slice(evidence.memory, at);
  if (!slice || listed_goroutines(evidence.memory, evidence.process.layout, *slice) == 0) return Verdict::no;
  return Verdict::proved;
}

// m and its own g name each other.
Verdict proves_threads(const Evidence& evidence, Address at) {
  const Verdict verdict = proves_list(evidence, at, Field::m_alllink, [&](const Record& m) {
    const auto g = m.pointer(Field::m_g0);
    return g && *g && record_at(evidence, *g).pointer(Field::g_m) == m.at();
  });
  return verdict == Verdict::empty ? Verdict::no : verdict;
}

Verdict proves_processors(const Evidence& evidence, Address at) {
  constexpr uint64_t kMaxProcessors = 1 << 16;
  constexpr uint32_t kLastStatus = 4;
  const auto slice = read_slice(evidence.memory, at);
  if (!slice || slice->length == 0 || slice->length > slice->capacity || slice->capacity > kMaxProcessors)
    return Verdict::no;
  for (uint64_t i = 0; i < std::min(slice->length, kChecked); ++i) {
    const auto p = evidence.memory.read_pointer(slice->data + 8 * i);
    if (!p) return Verdict::no;
    const Record record = record_at(evidence, *p);
    const auto status = record.read<uint32_t>(Field::p_status);
    if (record.read<uint32_t>(Field::p_id) != i || !status || *status > kLastStatus) return Verdict::no;
  }
  return Verdict::proved;
}

// No goroutine has a number that was not given out yet.
Verdict proves_scheduler(const Evidence& evidence, Address at) {
  const auto given = record_at(evidence, at).word(Field::schedt_goidgen);
  const auto slice = read_slice(evidence.memory, evidence.found.find("runtime.allgs").value_or(Address{}));
  if (!given || *given == 0 || !slice) return Verdict::no;
  for (uint64_t i = 0; i < std::min(slice->length, kChecked); ++i) {
    const auto g = evidence.memory.read_pointer(slice->data + 8 * i);
    const auto id = g ? record_at(evidence, *g).word(Field::g_goid) : std::nullopt;
    if (!id || *id > *given) return Verdict::no;
  }
  return Verdict::possible;
}

// Of each root the cache line's rest is never written.
Verdict proves_semaphores(const Evidence& evidence, Address at) {
  constexpr uint64_t kTreap = 8, kRootBytes = 24;
  const uint64_t stride = evidence.process.layout.offset(Field::semTable_stride);
  const Bytes table = evidence.memory.read_exactly(at, kSemaphoreRoots * stride);
  if (table.empty()) return Verdict::no;
  Verdict verdict = Verdict::empty;
  for (uint64_t i = 0; i < kSemaphoreRoots; ++i) {
    const Bytes root = table.subspan(i * stride, stride);
    if (std::ranges::any_of(root.subspan(kRootBytes), [](std::byte byte) { return byte != std::byte{}; }))
      return Verdict::no;
    const Address waiter{load<uint64_t>(root.data() + kTreap)};
    if (!waiter) continue;
    const auto g = record_at(evidence, waiter).pointer(Field::sudog_g);
    if (!g || !is_goroutine(evidence.memory, evidence.process.layout, *g)) return Verdict::no;
    verdict = Verdict::proved;
  }
  return verdict;
}

Verdict proves_wait_reasons(const Evidence& evidence, Address at) {
  constexpr uint64_t kFewest = 20;
  for (uint64_t i = 0; i < kFewest; ++i) {
    const auto text = text_at(evidence.memory, at + 16 * i);
    if (!text || text->empty() != (i == 0)) return Verdict::no;
    if (i == 1 && *text != "GC assist marking") return Verdict::no;
  }
  return Verdict::proved;
}

Verdict proves_itab_table(const Evidence& evidence, Address at) {
  const Layout& layout = evidence.process.layout;
  const auto table = evidence.memory.read_pointer(at);
  if (!table || !*table) return Verdict::no;
  const Record record = record_at(evidence, *table);
  const auto size = record.word(Field::itabTableType_size), count = record.word(Field::itabTableType_count);
  if (!size || !count || !std::has_single_bit(*size) || *count > *size) return Verdict::no;
  uint64_t seen = 0;
  for (uint64_t i = 0; i < std::min<uint64_t>(*size, 1 << 12) && seen < kChecked; ++i) {
    const auto pair = record.pointer(Field::itabTableType_entries, 8 * i);
    if (!pair) return Verdict::no;
    if (!*pair) continue;
    const auto interface = evidence.memory.read_pointer(*pair + layout.offset(Field::ITab_Inter));
    if (!interface || evidence.process.module_of_type(*interface) == nullptr) return Verdict::no;
    ++seen;
  }
  return seen > 0 ? Verdict::proved : Verdict::possible;
}

Verdict proves_statistics(const Evidence& evidence, Address at) {
  const Record statistics = record_at(evidence, at);
  for (Field field :
       {Field::mstats_mspan_sys, Field::mstats_mcache_sys, Field::mstats_gcMiscSys, Field::mstats_other_sys}) {
    const auto bytes = statistics.word(field);  // each has some from the start
    if (!bytes || *bytes == 0 || *bytes > kMaxBytes) return Verdict::no;
  }
  const auto ended = statistics.read<uint32_t>(Field::mstats_numgc),
             forced = statistics.read<uint32_t>(Field::mstats_numforcedgc);
  const auto enabled = statistics.read<uint8_t>(Field::mstats_enablegc);
  if (!ended || !forced || !enabled || *forced > *ended + 1 || *enabled > 1) return Verdict::no;
  const Layout& layout = evidence.process.layout;
  uint64_t in_heap = 0;
  for (uint64_t shard = 0; shard < 3; ++shard)
    in_heap += statistics
                   .word(Field::mstats_heapStats, layout.offset(Field::consistentHeapStats_stats) +
                                                      shard * layout.offset(Field::heapStatsDelta_size) +
                                                      layout.offset(Field::heapStatsDelta_inHeap))
                   .value_or(0);
  return is_span_bytes(evidence, in_heap) ? Verdict::possible : Verdict::no;
}

Verdict proves_controller(const Evidence& evidence, Address at) {
  const Record controller = record_at(evidence, at);
  const auto percent = controller.read<int32_t>(Field::gcControllerState_gcPercent);
  const auto limit = controller.read<int64_t>(Field::gcControllerState_memoryLimit);
  const auto in_use = controller.word(Field::gcControllerState_heapInUse);
  const auto ready = controller.word(Field::gcControllerState_mappedReady);
  if (!percent || !limit || !in_use || !ready) return Verdict::no;
  if (*percent < -1 || *limit < 0 || *ready == 0 || *ready > kMaxBytes) return Verdict::no;
  return is_span_bytes(evidence, *in_use) ? Verdict::possible : Verdict::no;
}

// A collection is counted there when it begins, in the statistics when it ends.
Verdict proves_collector_work(const Evidence& evidence, Address at) {
  const auto ended = collections(evidence);
  const auto begun = record_at(evidence, at).read<uint32_t>(Field::workType_cycles);
  if (!ended || !begun || *begun < *ended || *begun > *ended + 1) return Verdict::no;
  return Verdict::possible;
}

Verdict proves_memory_buckets(const Evidence& evidence, Address at) {
  return proves_buckets(evidence, at, 1);
}
Verdict proves_block_buckets(const Evidence& evidence, Address at) {
  return proves_buckets(evidence, at, 2);
}
Verdict proves_mutex_buckets(const Evidence& evidence, Address at) {
  return proves_buckets(evidence, at, 3);
}

// The number of collections, or twice that where GODEBUG=gcstoptheworld; doubled, as the last bit says something else.
Verdict proves_profile_cycle(const Evidence& evidence, Address at) {
  constexpr uint64_t kWrap = uint64_t{3} << 25;
  const auto value = evidence.memory.read<uint32_t>(at);
  if (!value || *value / 2 >= kWrap) return Verdict::no;
  const auto ended = collections(evidence);
  const uint64_t cycle = *value / 2;
  if (ended && *ended < kWrap / 2 && (cycle + 1 < *ended || cycle > 2 * (*ended + 1))) return Verdict::no;
  return *value == 0 ? Verdict::empty : Verdict::possible;
}

// What it switches off must be off.
Verdict proves_profile_switch(const Evidence& evidence, Address at) {
  const auto rate = evidence.found.find("runtime.MemProfileRate");
  if (!rate) return Verdict::no;
  const Verdict verdict = proves_flag(evidence, at);
  return verdict == Verdict::possible && evidence.memory.read_word(*rate) != 0 ? Verdict::no : verdict;
}

Verdict proves_settings(const Evidence& evidence, Address at) {
  return settings_of(evidence, at) ? Verdict::proved : Verdict::no;
}

Verdict proves_flag(const Evidence& evidence, Address at) {
  return proves_at_most<uint8_t>(evidence, at, 1);
}
Verdict proves_finalizer_status(const Evidence& evidence, Address at) {
  return proves_at_most<uint32_t>(evidence, at, 15);
}
Verdict proves_count(const Evidence& evidence, Address at) {
  return proves_at_most<uint64_t>(evidence, at, INT64_MAX);
}

std::optional<Address> settings_of(const Evidence& evidence, Address list) {
  constexpr uint64_t kMaxSettings = 256;
  const Layout& layout = evidence.process.layout;
  if (!layout.has(Field::debug_profstackdepth)) return std::nullopt;
  const auto slice = read_slice(evidence.memory, list);
  if (!slice || slice->length > slice->capacity || slice->capacity > kMaxSettings) return std::nullopt;
  std::optional<Address> begin;
  for (uint64_t i = 0; i < slice->length; ++i) {
    const auto setting = evidence.memory.read_pointer(slice->data + 8 * i);  // name string, value *int32, …
    const auto name = setting ? text_at(evidence.memory, *setting) : std::nullopt;
    if (!name || name->empty()) return std::nullopt;
    const auto value = *name == "profstackdepth" ? evidence.memory.read_pointer(*setting + 16) : std::nullopt;
    if (value) begin = *value - layout.offset(Field::debug_profstackdepth);
  }
  if (!begin || !evidence.process.modules.front().noptrbss.contains(*begin)) return std::nullopt;
  return begin;
}

}  // namespace heapwalk::go
