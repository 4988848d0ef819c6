#include "heapwalk/allocators/glibc.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "heapwalk/allocators/glibc_arena.h"
#include "heapwalk/allocators/glibc_bins.h"
#include "heapwalk/allocators/glibc_heaps.h"
#include "heapwalk/allocators/glibc_private.h"
#include "heapwalk/allocators/glibc_tcache.h"

namespace heapwalk {
namespace {

using glibc::CachedChunks;
using glibc::ChunkRun;
using glibc::GlibcRegion;
using glibc::Heaps;
using glibc::Instance;
using glibc::Window;

constexpr uint64_t kNoAddress = UINT64_MAX;
constexpr uint64_t kIsStruct = 1;  // tag in the low bit of a special address

// What the bits of a used chunk cannot say: user addresses of cached chunks and, tagged, of tcache structs; ascending.
std::vector<uint64_t> special_addresses(const CachedChunks& cached) {
  std::vector<uint64_t> special(cached.chunks);
  for (uint64_t address : cached.structs) special.push_back(address | kIsStruct);
  special.push_back(kNoAddress);
  std::ranges::sort(special);
  return special;
}

class GlibcDecoder final : public HeapDecoder {
 public:
  GlibcDecoder(const CoreDump& dump, AllocatorFacts facts, Heaps heaps, CachedChunks cached,
               glibc::PrivateWords private_words)
      : memory_(dump.memory),
        facts_(std::move(facts)),
        plan_(std::move(heaps.regions)),
        cached_(std::move(cached)),
        special_(special_addresses(cached_)),
        private_(std::move(private_words)) {
    for (const GlibcRegion& region : plan_) regions_.push_back(region.region);
  }

  const AllocatorFacts& facts() const override { return facts_; }
  std::span<const HeapRegion> regions() const override { return regions_; }
  uint32_t granule_bytes() const override { return glibc::kAlignment; }
  void walk(size_t region, AllocationSink& sink, Diagnostics& diagnostics) const override;
  std::span<const AddressRange> private_ranges() const override { return private_.ranges; }
  std::span<const Address> private_words() const override { return private_.words; }

 private:
  template <bool kMainArena>
  void walk_run(const GlibcRegion& region, ChunkRun run, AllocationSink& sink, Diagnostics& diagnostics) const;
  bool has_cache_key(const Window& window, uint64_t user) const;

  const AddressSpace& memory_;
  AllocatorFacts facts_;
  std::vector<GlibcRegion> plan_;
  std::vector<HeapRegion> regions_;
  CachedChunks cached_;
  std::vector<uint64_t> special_;
  glibc::PrivateWords private_;
};

// A list was broken, so the key decides. Live memory may hold a stale key only where nothing was written since malloc.
bool GlibcDecoder::has_cache_key(const Window& window, uint64_t user) const {
  return window.holds(user, 16) && std::ranges::binary_search(cached_.keys, window.word(user + 8));
}

// The survey has checked every header of the run.
template <bool kMainArena>
void GlibcDecoder::walk_run(const GlibcRegion& region, ChunkRun run, AllocationSink& sink,
                            Diagnostics& diagnostics) const {
  Window window = Window::of(memory_, {Address{run.begin}, region.region.range.end});
  const uint64_t* special = std::ranges::lower_bound(special_, run.begin).base();
  bool ask_key = cached_.lists_broken && !cached_.keys.empty();
  if (!window.holds(run.begin, glibc::kHeaderBytes)) return;
  uint64_t word = window.size_word(run.begin);
  for (uint64_t chunk = run.begin; chunk < run.end;) {
    uint64_t size = glibc::chunk_size(word);
    uint64_t next = chunk + size;
    Address user{chunk + glibc::kHeaderBytes};
    if (chunk == region.top || next == region.region.range.end.value) {
      if (run.end > user.value) sink.add(user, run.end - user.value, AllocationState::top);
      return;
    }
    if (size <= glibc::kFencepostBytes) {  // a fencepost, or the zero that ends a thread arena's heap
      if (size == 0) return;
      word = window.holds(next, glibc::kHeaderBytes) ? window.size_word(next) : 0;
      chunk = next;
      continue;
    }
    bool has_next = window.holds(next, glibc::kHeaderBytes);
    uint64_t next_word = has_next ? window.size_word(next) : glibc::kPrevInUse;
    while (*special < user.value) ++special;
    if ((next_word & glibc::kPrevInUse) == 0) {
      sink.add(user, glibc::usable_bytes(size), AllocationState::free);
    } else if ((*special & ~kIsStruct) == user.value) {
      sink.add(user, glibc::usable_bytes(size),
               (*special & kIsStruct) != 0 ? AllocationState::metadata : AllocationState::cached);
    } else if (kMainArena || (word & glibc::kNonMainArena) != 0) {
      bool is_cached = ask_key && has_cache_key(window, user.value);
      if (is_cached) diagnostics.add("cached_by_key", "chunks of a broken thread cache, told by their key alone");
      sink.add(user, glibc::usable_bytes(size), is_cached ? AllocationState::cached : AllocationState::used);
    }  // else: what was left of a thread arena's old top chunk
    word = next_word;
    chunk = next;
    if (!has_next) return;
  }
}

void GlibcDecoder::walk(size_t index, AllocationSink& sink, Diagnostics& diagnostics) const {
  const GlibcRegion& region = plan_[index];
  if (region.mmapped) {
    bool is_cached = std::ranges::binary_search(cached_.chunks, region.mmapped->user);  // 2.42 and newer, large sizes
    sink.add(Address{region.mmapped->user}, region.mmapped->usable_bytes,
             is_cached ? AllocationState::cached : AllocationState::used);
    return;
  }
  for (ChunkRun run : region.runs) {
    if (region.is_main)
      walk_run<true>(region, run, sink, diagnostics);
    else
      walk_run<false>(region, run, sink, diagnostics);
  }
  sink.add_unexplained(region.unexplained_bytes);
}

// The versions that share every feature seen.
std::string version_bracket(const std::vector<Instance>& instances, const CachedChunks& cached) {
  if (!instances.empty() && !instances.front().arenas.front().has_fastbins()) return "2.43 or newer";
  if (!cached.shape) return "";
  if (cached.shape->counts_down) return "2.42";
  if (cached.shape->count_bytes == 1) return "2.26–2.29";
  for (const Instance& instance : instances) {
    for (const glibc::Arena& arena : instance.arenas) {
      if (arena.heap_info_bytes > 0x20) return "2.35–2.41";
    }
  }
  if (!cached.mangled) return "2.30–2.41";
  if (!*cached.mangled) return "2.30–2.31";
  return "2.32–2.41";
}

std::string evidence_of(const std::vector<Instance>& instances) {
  if (instances.empty()) return "chunk chains only: libc's data is not in the core";
  const Instance& first = instances.front();
  return first.by_symbol ? fmt::format("symbol main_arena of {}, and its bins", first.place)
                         : fmt::format("closure of {} bins in the data of {}", glibc::kBins, first.place);
}

// Whether a libc was there whose data the core has lost. (A libc without an arena that is all there never ran malloc:
// the process uses another allocator.)
bool lost_libc_data(const CoreDump& dump) {
  const Module* libc = dump.find_module_by_name("libc.so");
  if (libc == nullptr) libc = dump.find_module_by_name("libc-");
  if (libc == nullptr) return dump.missing_bytes > 0;
  return std::ranges::any_of(libc->segments, [&](const ModuleSegment& segment) {
    return segment.writable && dump.memory.read(segment.range.end - 8, 8).empty();
  });
}

}  // namespace

std::unique_ptr<HeapDecoder> detect_glibc(const CoreDump& dump, const GlibcOptions& options, Diagnostics& diagnostics) {
  std::vector<Instance> instances = glibc::find_instances(dump, options.use_symbols, diagnostics);
  std::vector<Instance> with_orphans = instances;
  if (instances.empty()) {
    if (!lost_libc_data(dump)) return nullptr;
    Instance orphans;
    orphans.arenas = glibc::find_orphan_arenas(dump);
    orphans.place = "libc";
    if (!orphans.arenas.empty()) with_orphans.push_back(std::move(orphans));
  }
  Heaps heaps = glibc::find_heaps(dump, with_orphans, options.use_symbols, options.taken, diagnostics);
  if (instances.empty()) {
    if (heaps.regions.empty()) return nullptr;
    diagnostics.add("glibc_arena_missing",
                    "glibc's main arena is not in the core: the heap was walked by its chunk chains alone, and freed "
                    "blocks that wait in fastbins or in caches of unknown threads are counted as used");
  }
  CachedChunks cached = glibc::find_cached_chunks(dump, with_orphans, heaps.thread_caches, diagnostics);
  glibc::check_bins(dump, with_orphans, heaps.regions, diagnostics);
  if (instances.empty()) cached.lists_broken = true;  // caches may be missing altogether
  // Until 2.42 every thread that uses malloc has a cache; since 2.43 only one that has freed something.
  bool wants_cache = !instances.empty() && instances.front().arenas.front().top.value != 0 &&
                     instances.front().arenas.front().has_fastbins();
  if (cached.unknown_shape || (wants_cache && cached.structs.empty())) {
    diagnostics.add("glibc_no_tcache",
                    "no thread cache of a known shape was found: freed blocks that wait in one are counted as used");
  }
  glibc::PrivateWords private_words = glibc::find_private_words(dump, instances, heaps, diagnostics);
  AllocatorFacts facts{"glibc", version_bracket(with_orphans, cached), evidence_of(instances)};
  return std::make_unique<GlibcDecoder>(dump, std::move(facts), std::move(heaps), std::move(cached),
                                        std::move(private_words));
}

}  // namespace heapwalk
