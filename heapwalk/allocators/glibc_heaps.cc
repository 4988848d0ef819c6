#include "heapwalk/allocators/glibc_heaps.h"

#include <fmt/format.h>

#include <algorithm>

namespace heapwalk::glibc {
namespace {

constexpr uint64_t kPieceChunks = 3;  // a chain that long from the start of a page is a piece of an unknown arena
constexpr std::string_view kMainArena = "main arena";
constexpr std::string_view kMmapped = "mmapped chunks";
constexpr size_t kMaxRegions = 1 << 20;
constexpr std::string_view kHugePages = "/anon_hugepage";

class Builder {
 public:
  Builder(const CoreDump& dump, std::span<const AddressRange> taken, Diagnostics& diagnostics)
      : dump_(dump), taken_(taken), diagnostics_(diagnostics) {}

  void add_thread_arena(const Arena& arena, size_t number);
  bool add_main_arena(const Arena& arena, const std::optional<MallocParameters>& parameters);
  void add_brk_heap();
  void scan_unclaimed(const std::vector<const Arena*>& scattered, bool arena_unknown);
  // malloc's own count, of all instances: chunks that are none look like chunks in other allocators' mappings.
  void know_mmapped_chunks();
  void check_parameters();
  Heaps finish();

  Heaps heaps;

 private:
  void add_stretch(const Stretch& stretch, AddressRange range, const std::string& name, bool is_main, uint64_t top);
  void add_stretches(AddressRange range, uint64_t top);
  std::optional<uint64_t> top_end(const Arena& arena);
  void scan_anonymous(AddressRange range, const std::vector<SurveyRules>& pieces, uint64_t least_chunks);
  void take_thread_caches(const Survey& survey);
  std::vector<AddressRange> unclaimed_memory() const;
  std::vector<AddressRange> claimed() const;

  const CoreDump& dump_;
  std::span<const AddressRange> taken_;
  Diagnostics& diagnostics_;
  bool any_mmapped_ = true;  // there may be mmapped chunks
  uint64_t mmapped_count_ = 0;
  uint64_t mmapped_bytes_ = 0;
};

uint64_t gap_bytes(const Stretch& stretch, AddressRange range) {
  uint64_t gaps = 0;
  uint64_t at = stretch.begin;
  bool after_chunk = false;  // whose last 8 user bytes lie behind its end
  for (const ChunkRun& run : stretch.runs) {
    if (run.begin > at) gaps += run.begin - at - (after_chunk ? 8 : 0);
    at = run.end;
    after_chunk = true;
  }
  if (!stretch.reached_end && range.end.value > at) gaps += range.end.value - at - (after_chunk ? 8 : 0);
  return gaps;
}

// One region, or several of about kSplitBytes. A split lies between the header of a chunk and its user memory, because
// the block before reaches 8 bytes into that header.
void Builder::add_stretch(const Stretch& stretch, AddressRange range, const std::string& name, bool is_main,
                          uint64_t top) {
  GlibcRegion whole{.region = {range, name}, .is_main = is_main, .top = top, .runs = stretch.runs, .mmapped = {}};
  whole.unexplained_bytes = gap_bytes(stretch, range);
  if (whole.unexplained_bytes > 0 || stretch.runs.size() != 1) {  // a damaged stretch stays in one piece
    heaps.regions.push_back(std::move(whole));
    return;
  }
  uint64_t begin = stretch.begin;
  for (uint64_t split : stretch.splits) {
    GlibcRegion part = whole;
    part.region.range.end = Address{split + kHeaderBytes};
    part.runs = {{begin, split}};
    whole.region.range.begin = part.region.range.end;
    heaps.regions.push_back(std::move(part));
    begin = split;
  }
  whole.runs = {{begin, stretch.end}};
  heaps.regions.push_back(std::move(whole));
}

void Builder::add_thread_arena(const Arena& arena, size_t number) {
  for (size_t i = 0; i < arena.heaps.size(); ++i) {
    AddressRange heap = arena.heaps[i];
    uint64_t first = heap.begin.value + arena.heap_info_bytes;
    if (heap.contains(arena.state)) first = (arena.state + arena.state_bytes).align_up(kAlignment).value;
    std::string name = fmt::format("arena {}, heap {}", number, i + 1);
    SurveyRules rules{.is_main = false,
                      .top = heap.contains(arena.top) ? arena.top.value : 0,
                      .limit = heap.end.value,
                      .what = fmt::format("{} ({:#x})", name, heap.begin.value)};
    Survey survey(Window::of(dump_.memory, heap), rules);
    Stretch stretch = survey.follow(first, diagnostics_);
    take_thread_caches(survey);
    add_stretch(stretch, heap, name, false, rules.top);
  }
}

void Builder::take_thread_caches(const Survey& survey) {
  heaps.thread_caches.insert(heaps.thread_caches.end(), survey.thread_caches().begin(), survey.thread_caches().end());
}

// Memory by brk, from its first chunk: stretches up to top, the program's own sbrk'ed bytes between them left out.
void Builder::add_stretches(AddressRange range, uint64_t top) {
  SurveyRules rules{.is_main = true, .top = top, .limit = range.end.value, .what = std::string(kMainArena)};
  Survey survey(Window::of(dump_.memory, range), rules);
  for (uint64_t begin = range.begin.value; begin < range.end.value;) {
    Stretch stretch = survey.follow(begin, diagnostics_);
    add_stretch(stretch, {Address{begin}, Address{stretch.end}}, rules.what, true, top);
    if (!stretch.reached_end) break;
    begin = survey.find_chain(stretch.end, range.end.value).value_or(range.end.value);
  }
  take_thread_caches(survey);
}

// The end of the top chunk, when its header is there and possible.
std::optional<uint64_t> Builder::top_end(const Arena& arena) {
  const Mapping* mapping = dump_.find_mapping(arena.top);
  auto top_word = dump_.memory.read_word(arena.top + 8);
  if (mapping == nullptr || !top_word) {
    diagnostics_.add("glibc_top_missing", fmt::format("main arena {:#x}: its top chunk {:#x} is not in the core",
                                                      arena.state.value, arena.top.value));
    return std::nullopt;
  }
  uint64_t size = chunk_size(*top_word);
  if (size % kAlignment == 0 && size >= kFencepostBytes && size <= mapping->range.end - arena.top) {
    return arena.top.value + size;
  }
  diagnostics_.add("corrupt_top",
                   fmt::format("main arena {:#x}: its top chunk {:#x} has the impossible size word {:#x}",
                               arena.state.value, arena.top.value, *top_word));
  return std::nullopt;
}

// False when the arena does not say where its memory is.
bool Builder::add_main_arena(const Arena& arena, const std::optional<MallocParameters>& parameters) {
  if (!arena.top) return true;
  auto end = top_end(arena);
  uint64_t base = parameters ? Address{parameters->sbrk_base}.align_up(kAlignment).value : 0;
  const Mapping* base_mapping = base == 0 ? nullptr : dump_.find_mapping(Address{base});
  if (arena.contiguous && end) {
    uint64_t first = (Address{*end} - arena.system_mem).align_up(kAlignment).value;
    const Region* region = dump_.memory.find(Address{first});
    if (first <= arena.top.value && region != nullptr && region->range.contains(arena.top)) {
      add_stretches({Address{first}, Address{*end}}, arena.top.value);
      return true;
    }
  }
  // What brk gave: up to the top chunk, or (blocked since) as far as chains go.
  bool holds_top = base_mapping != nullptr && base_mapping->range.contains(arena.top);
  if (base_mapping != nullptr && (holds_top || !arena.contiguous)) {
    add_stretches({Address{base}, holds_top && end ? Address{*end} : base_mapping->range.end}, arena.top.value);
    return true;
  }
  return !arena.contiguous && end;
}

// The heap that grows from the end of the executable, when no arena says where it begins or ends.
void Builder::add_brk_heap() {
  const Module* executable = dump_.executable();
  if (executable == nullptr) return;
  for (const Mapping& mapping : dump_.mappings) {
    if (mapping.range.begin < executable->range.end || !mapping.writable || !mapping.path.empty()) continue;
    SurveyRules rules{.is_main = true, .limit = mapping.range.end.value, .what = std::string(kMainArena)};
    Survey survey(Window::of(dump_.memory, mapping.range), rules);
    auto first = survey.find_chain(mapping.range.begin.value, mapping.range.begin.value + kPageBytes);
    if (first) add_stretches({Address{*first}, mapping.range.end}, 0);
    return;
  }
}

std::vector<AddressRange> Builder::claimed() const {
  std::vector<AddressRange> ranges(taken_.begin(), taken_.end());
  for (const GlibcRegion& region : heaps.regions) ranges.push_back(region.region.range);
  for (const Module& module : dump_.modules) {
    for (const ModuleSegment& segment : module.segments) ranges.push_back(segment.range);
  }
  std::ranges::sort(ranges);
  return ranges;
}

// Writable anonymous memory, touching mappings joined, without what is already owned.
std::vector<AddressRange> Builder::unclaimed_memory() const {
  std::vector<AddressRange> joined;
  for (const Mapping& mapping : dump_.mappings) {
    if (!mapping.writable || !(mapping.path.empty() || mapping.path.starts_with(kHugePages))) continue;
    if (!joined.empty() && joined.back().end == mapping.range.begin)
      joined.back().end = mapping.range.end;
    else
      joined.push_back(mapping.range);
  }
  std::vector<AddressRange> taken = claimed();
  std::vector<AddressRange> free;
  size_t next = 0;
  for (AddressRange range : joined) {
    while (next < taken.size() && taken[next].end <= range.begin) ++next;
    for (size_t i = next; i < taken.size() && taken[i].begin < range.end; ++i) {
      if (taken[i].begin > range.begin) free.push_back({range.begin, taken[i].begin});
      range.begin = std::max(range.begin, taken[i].end);
    }
    if (!range.empty()) free.push_back(range);
  }
  return free;
}

void Builder::scan_anonymous(AddressRange range, const std::vector<SurveyRules>& pieces, uint64_t least_chunks) {
  Window window = Window::of(dump_.memory, range);
  std::vector<Survey> surveys;
  for (SurveyRules rules : pieces) {
    rules.limit = range.end.value;
    surveys.emplace_back(window, std::move(rules));
  }
  for (uint64_t page = range.begin.align_up(kPageBytes).value; window.holds(page, kHeaderBytes);) {
    if (heaps.regions.size() >= kMaxRegions) {
      diagnostics_.add("too_many_heap_regions",
                       fmt::format("more than {} heap regions: the rest is left out", kMaxRegions));
      break;
    }
    if (auto chunk = any_mmapped_ ? mmapped_chunk_at(window, page, range.end.value) : std::nullopt) {
      AddressRange mapping = AddressRange::of(Address{page}, chunk->mapping_bytes);
      heaps.regions.push_back({.region = {mapping, std::string(kMmapped)}, .runs = {}, .mmapped = chunk});
      ++mmapped_count_;
      mmapped_bytes_ += chunk->mapping_bytes;
      page += chunk->mapping_bytes;
      continue;
    }
    uint64_t after = page + kPageBytes;
    uint64_t size_word = window.size_word(page);
    for (size_t i = 0; i < surveys.size() && after == page + kPageBytes; ++i) {
      if ((size_word & kFlags) != kPrevInUse || chunk_size(size_word) < kMinimumChunk) break;
      if (!surveys[i].leads(page, least_chunks)) continue;
      Stretch stretch = surveys[i].follow(page, diagnostics_);
      add_stretch(stretch, {Address{page}, Address{stretch.end}}, pieces[i].what, true, pieces[i].top);
      after = Address{stretch.end}.align_up(kPageBytes).value;
    }
    page = after;
  }
  for (const Survey& survey : surveys) take_thread_caches(survey);
}

// `scattered`: main arenas that do not grow by brk alone, whose pieces may be anywhere.
void Builder::scan_unclaimed(const std::vector<const Arena*>& scattered, bool arena_unknown) {
  std::vector<SurveyRules> pieces;
  pieces.reserve(scattered.size() + 1);
  for (const Arena* arena : scattered) pieces.push_back({.top = arena->top.value, .what = std::string(kMainArena)});
  if (arena_unknown) pieces.push_back({.what = std::string(kMainArena)});
  for (AddressRange range : unclaimed_memory()) scan_anonymous(range, pieces, arena_unknown ? kPieceChunks : 1);
}

void Builder::know_mmapped_chunks() {
  any_mmapped_ = std::ranges::any_of(heaps.parameters, [](const auto& each) { return each.mmapped_chunks > 0; });
}

void Builder::check_parameters() {
  if (heaps.parameters.empty()) return;
  uint64_t count = 0;
  uint64_t bytes = 0;
  for (const MallocParameters& parameters : heaps.parameters) {
    count += parameters.mmapped_chunks;
    bytes += parameters.mmapped_bytes;
  }
  if (count == mmapped_count_ && bytes == mmapped_bytes_) return;
  diagnostics_.add("mmapped_chunks_differ",
                   fmt::format("malloc's own count is {} mmapped chunks of {} bytes together; found: {} of {}", count,
                               bytes, mmapped_count_, mmapped_bytes_));
}

Heaps Builder::finish() {
  std::ranges::sort(heaps.regions, {}, [](const GlibcRegion& region) { return region.region.range; });
  std::vector<GlibcRegion> disjoint;
  for (GlibcRegion& region : heaps.regions) {
    if (region.region.range.empty()) continue;
    if (!disjoint.empty() && region.region.range.begin < disjoint.back().region.range.end) {
      diagnostics_.add("overlapping_heap_regions", fmt::format("{} at {:#x} overlaps the region before it; left out",
                                                               region.region.name, region.region.range.begin.value));
      continue;
    }
    disjoint.push_back(std::move(region));
  }
  heaps.regions = std::move(disjoint);
  return std::move(heaps);
}

}  // namespace

Heaps find_heaps(const CoreDump& dump, const std::vector<Instance>& instances, bool use_symbols,
                 std::span<const AddressRange> taken, Diagnostics& diagnostics) {
  Builder builder(dump, taken, diagnostics);
  std::vector<const Arena*> scattered;
  size_t arena_number = 0;
  bool main_known = true;
  bool any_main = false;
  for (const Instance& instance : instances) {
    auto parameters = find_parameters(dump, instance, use_symbols);
    if (parameters) builder.heaps.parameters.push_back(*parameters);
    for (const Arena& arena : instance.arenas) {
      if (!arena.is_main) {
        builder.add_thread_arena(arena, ++arena_number);
        continue;
      }
      any_main = true;
      main_known &= builder.add_main_arena(arena, parameters);
      if (!arena.contiguous) scattered.push_back(&arena);
    }
  }
  main_known &= any_main;
  if (!main_known) builder.add_brk_heap();
  const bool all_known = !instances.empty() && builder.heaps.parameters.size() == instances.size();
  if (all_known) builder.know_mmapped_chunks();
  builder.scan_unclaimed(scattered, !main_known);
  if (all_known) builder.check_parameters();
  return builder.finish();
}

}  // namespace heapwalk::glibc
