#include "heapwalk/allocators/glibc_tcache.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace heapwalk::glibc {
namespace {

constexpr uint64_t kTlsSearchBytes = 64 << 10;  // below the thread pointer; many TLS-heavy libraries fit
constexpr int64_t kNeighbourBytes = 0x40;       // between thread_arena and tcache
constexpr uint32_t kSmallBins = 64;
constexpr uint64_t kFastbins = 10;

uint64_t bin_chunk_bytes(uint64_t bin) {
  return kMinimumChunk + bin * kAlignment;
}

struct List {
  std::vector<uint64_t> members;
  bool intact = false;
  uint64_t stopped_at = 0;
};

// A thread cache's list of exactly `length` members.
List walk_tcache_list(const AddressSpace& memory, uint64_t head, uint32_t length, uint64_t chunk_bytes, bool mangled) {
  List list;
  uint64_t entry = head;
  while (list.members.size() < length) {
    list.stopped_at = entry;
    if (entry == 0 || entry % kAlignment != 0) return list;
    auto size_word = memory.read_word(Address{entry} - 8);
    auto next = memory.read_word(Address{entry});
    if (!size_word || !next) return list;
    if (chunk_bytes != 0 && chunk_size(*size_word) != chunk_bytes) return list;
    list.members.push_back(entry);
    entry = reveal(*next, entry, mangled);
  }
  list.stopped_at = entry;
  list.intact = entry == 0;
  return list;
}

class Collector {
 public:
  Collector(const CoreDump& dump, const std::vector<Instance>& instances, Diagnostics& diagnostics)
      : memory_(dump.memory),
        dump_(dump),
        instances_(instances),
        diagnostics_(diagnostics),
        budget_(dump.file_size_bytes / kMinimumChunk + 1024) {}

  void add_threads();
  void add_orphans(const std::vector<uint64_t>& candidates);
  void add_fastbins();
  CachedChunks finish();

 private:
  struct Cache {  // a tcache struct's content
    uint64_t address = 0;
    TcacheShape shape;
    struct Bin {
      uint64_t head = 0;
      uint32_t length = 0;
    };
    std::vector<Bin> bins;
    bool empty() const {
      return std::ranges::all_of(bins, [](const Bin& bin) { return bin.head == 0; });
    }
  };

  std::optional<Cache> read_cache(uint64_t address) const;
  AddressRange tls_window(const Thread& thread) const;
  std::map<int64_t, int> vote_for_offset(const Instance& instance);
  bool might_be_cache(uint64_t address) const;
  List walk_with_known_links(uint64_t head, uint32_t length, uint64_t chunk_bytes);
  void take(const std::vector<uint64_t>& members);
  bool collect(const Cache& cache, bool report);
  void note_key(const std::vector<uint64_t>& members);
  void walk_fastbin(const Arena& arena, uint64_t bin);
  std::optional<std::vector<uint64_t>> fastbin_members(uint64_t head, uint64_t bin, bool mangled, bool& broken) const;

  const AddressSpace& memory_;
  const CoreDump& dump_;
  const std::vector<Instance>& instances_;
  Diagnostics& diagnostics_;
  CachedChunks result_;
  bool strange_ = false;
  uint64_t budget_;  // members that may still be taken: no core holds more chunks than that
};

std::optional<Collector::Cache> Collector::read_cache(uint64_t address) const {
  if (address == 0 || address % kAlignment != 0) return std::nullopt;
  auto size_word = memory_.read_word(Address{address} - 8);
  if (!size_word || (*size_word & kIsMmapped) != 0) return std::nullopt;
  auto shape = TcacheShape::of_chunk(chunk_size(*size_word));
  if (!shape) return std::nullopt;
  Bytes bytes = memory_.read_exactly(Address{address}, shape->bytes());
  if (bytes.empty()) return std::nullopt;
  Cache cache{.address = address, .shape = *shape, .bins = {}};
  uint32_t most = 0;
  int torn = 0;
  for (uint32_t i = 0; i < shape->bins; ++i) {
    uint32_t count = shape->count_bytes == 1 ? load<uint8_t>(bytes.data() + i) : load<uint16_t>(bytes.data() + i * 2);
    cache.bins.push_back({load<uint64_t>(bytes.data() + shape->entries_offset() + i * 8), count});
    most = std::max(most, count);
  }
  for (Cache::Bin& bin : cache.bins) {
    if (bin.head % kAlignment != 0) return std::nullopt;
    if (shape->counts_down) bin.length = bin.head == 0 ? 0 : most - bin.length;
    if ((bin.head == 0) != (bin.length == 0)) {
      // A thread that stopped inside malloc may be between the two; one such bin is believed, by its list.
      if (++torn > 1) return std::nullopt;
      bin.length = bin.head == 0 ? 0 : 1;
    }
  }
  return cache;
}

// Where the C library's thread-locals of a thread may be. x86-64: below the thread pointer; AArch64: above.
AddressRange Collector::tls_window(const Thread& thread) const {
  if (!thread.thread_pointer) return {};
  AddressRange around = dump_.process.architecture == Architecture::aarch64
                            ? AddressRange::of(thread.thread_pointer, kTlsSearchBytes)
                            : AddressRange{thread.thread_pointer - kTlsSearchBytes, thread.thread_pointer};
  const Region* region = memory_.find(around.end - 8);
  if (dump_.process.architecture == Architecture::aarch64) region = memory_.find(around.begin);
  return region != nullptr ? around.intersect(region->range) : AddressRange{};
}

// A heap chunk of about the size of a thread cache, next to thread_arena, and yet of no shape known here.
bool Collector::might_be_cache(uint64_t address) const {
  if (address == 0 || address % kAlignment != 0 || dump_.find_module(Address{address}) != nullptr) return false;
  uint64_t size_word = memory_.read_word(Address{address} - 8).value_or(0);
  uint64_t size = chunk_size(size_word);
  if ((size_word & kIsMmapped) != 0 || size < 0x200 || size > 0x1000 || size % kAlignment != 0) return false;
  return (memory_.read_word(Address{address} - 8 + size).value_or(0) & kPrevInUse) != 0;
}

std::map<int64_t, int> Collector::vote_for_offset(const Instance& instance) {
  std::vector<uint64_t> states;
  states.reserve(instance.arenas.size());
  for (const Arena& arena : instance.arenas) states.push_back(arena.state.value);
  std::ranges::sort(states);
  std::map<int64_t, int> votes;
  for (const Thread& thread : dump_.threads) {
    AddressRange range = tls_window(thread);
    Window window = Window::of(memory_, range);
    for (uint64_t at = Address{window.begin}.align_up(8).value; window.holds(at, 8); at += 8) {
      uint64_t word = window.word(at);
      if (word < states.front() || !std::ranges::binary_search(states, word)) continue;
      for (int64_t delta = -kNeighbourBytes; delta <= kNeighbourBytes; delta += 8) {
        uint64_t slot = at + static_cast<uint64_t>(delta);
        if (delta == 0 || !window.holds(slot, 8)) continue;
        auto cache = read_cache(window.word(slot));
        if (cache)
          votes[static_cast<int64_t>(slot - thread.thread_pointer.value)] += cache->empty() ? 1 : 4;
        else
          strange_ |= might_be_cache(window.word(slot));
      }
    }
  }
  return votes;
}

List Collector::walk_with_known_links(uint64_t head, uint32_t length, uint64_t chunk_bytes) {
  if (result_.mangled) return walk_tcache_list(memory_, head, length, chunk_bytes, *result_.mangled);
  List mangled = walk_tcache_list(memory_, head, length, chunk_bytes, true);
  if (mangled.intact) {
    result_.mangled = true;
    return mangled;
  }
  List plain = walk_tcache_list(memory_, head, length, chunk_bytes, false);
  if (plain.intact) result_.mangled = false;
  return plain.intact ? plain : mangled;
}

void Collector::take(const std::vector<uint64_t>& members) {
  size_t count = std::min<uint64_t>(members.size(), budget_);
  result_.chunks.insert(result_.chunks.end(), members.begin(), members.begin() + static_cast<ptrdiff_t>(count));
  budget_ -= count;
  if (count < members.size()) {
    diagnostics_.add("corrupt_tcache", "thread caches and fastbins list more chunks than the core can hold");
  }
}

void Collector::note_key(const std::vector<uint64_t>& members) {
  if (members.size() < 2) return;
  auto key = memory_.read_word(Address{members.front()} + 8);
  if (!key || *key == 0 || std::ranges::find(result_.keys, *key) != result_.keys.end()) return;
  bool shared = std::ranges::all_of(
      members, [&](uint64_t member) { return memory_.read_word(Address{member} + 8).value_or(0) == *key; });
  if (shared && result_.keys.size() < dump_.threads.size() + 1) result_.keys.push_back(*key);
}

// Takes over the cache's members. With `report` false (a candidate that no thread points to) every list must be intact.
bool Collector::collect(const Cache& cache, bool report) {
  std::vector<uint64_t> members;
  for (uint32_t i = 0; i < cache.bins.size(); ++i) {
    const Cache::Bin& bin = cache.bins[i];
    if (bin.head == 0 || members.size() > budget_) continue;
    List list = walk_with_known_links(bin.head, bin.length, i < kSmallBins ? bin_chunk_bytes(i) : 0);
    members.insert(members.end(), list.members.begin(), list.members.end());
    if (list.intact) continue;
    if (!report) return false;
    result_.lists_broken = true;
    bool absent = dump_.missing_bytes > 0 && memory_.read(Address{list.stopped_at}, 1).empty();
    diagnostics_.add(
        absent ? "incomplete_tcache" : "corrupt_tcache",
        fmt::format("thread cache at {:#x}: the list of {}-byte chunks breaks off at {:#x}, after {} of {}",
                    cache.address, bin_chunk_bytes(i), list.stopped_at, list.members.size(), bin.length));
  }
  note_key(members);
  take(members);
  result_.structs.push_back(cache.address);
  result_.shape = cache.shape;
  return true;
}

void Collector::add_threads() {
  for (const Instance& instance : instances_) {
    std::map<int64_t, int> votes = vote_for_offset(instance);
    if (votes.empty()) continue;
    int64_t offset =
        std::ranges::max_element(votes, [](const auto& a, const auto& b) { return a.second < b.second; })->first;
    for (const Thread& thread : dump_.threads) {
      if (!thread.thread_pointer) continue;
      auto pointer = memory_.read_word(thread.thread_pointer + static_cast<uint64_t>(offset));
      if (!pointer) continue;
      auto cache = read_cache(*pointer);
      if (cache && std::ranges::find(result_.structs, cache->address) == result_.structs.end()) collect(*cache, true);
    }
  }
}

void Collector::add_orphans(const std::vector<uint64_t>& candidates) {
  std::ranges::sort(result_.structs);
  size_t known = result_.structs.size();
  for (uint64_t candidate : candidates) {
    if (std::binary_search(result_.structs.begin(), result_.structs.begin() + static_cast<ptrdiff_t>(known),
                           candidate)) {
      continue;
    }
    auto cache = read_cache(candidate);
    if (cache && !cache->empty()) collect(*cache, false);
  }
}

// The members of a fastbin, whose links go through chunks; nullopt when it is not a list of this kind of link at all.
std::optional<std::vector<uint64_t>> Collector::fastbin_members(uint64_t head, uint64_t bin, bool mangled,
                                                                bool& broken) const {
  std::vector<uint64_t> members;
  uint64_t chunk = head;
  uint64_t tortoise = 0;  // Brent: a member remembered at every power of two; meeting it again is a cycle
  while (chunk != 0 && members.size() <= budget_) {
    if ((members.size() & (members.size() - 1)) == 0) tortoise = members.empty() ? 0 : chunk;
    auto size_word = chunk % kAlignment == 0 ? memory_.read_word(Address{chunk} + 8) : std::nullopt;
    auto link = memory_.read_word(Address{chunk} + kHeaderBytes);
    if (!size_word || !link || chunk_size(*size_word) != bin_chunk_bytes(bin)) {
      if (members.size() < 2 && !result_.mangled) return std::nullopt;
      broken = true;
      return members;
    }
    members.push_back(chunk + kHeaderBytes);
    chunk = reveal(*link, chunk + kHeaderBytes, mangled);
    if (chunk == tortoise && chunk != 0) {
      broken = true;
      return members;
    }
  }
  return members;
}

void Collector::walk_fastbin(const Arena& arena, uint64_t bin) {
  uint64_t head = memory_.read_word(arena.fastbins() + bin * 8).value_or(0);
  if (head == 0) return;
  bool broken = false;
  std::optional<std::vector<uint64_t>> members;
  bool first = result_.mangled.value_or(true);
  members = fastbin_members(head, bin, first, broken);
  if (members && !result_.mangled) result_.mangled = first;
  if (!members && !result_.mangled) {
    members = fastbin_members(head, bin, !first, broken);
    if (members) result_.mangled = !first;
  }
  if (members) take(*members);
  if (broken || !members) {
    diagnostics_.add("corrupt_fastbin",
                     fmt::format("arena {:#x}: the fastbin of {}-byte chunks that begins at {:#x} is no list",
                                 arena.state.value, bin_chunk_bytes(bin), head));
  }
}

void Collector::add_fastbins() {
  for (const Instance& instance : instances_) {
    for (const Arena& arena : instance.arenas) {
      if (!arena.has_fastbins()) continue;
      for (uint64_t bin = 0; bin < kFastbins; ++bin) walk_fastbin(arena, bin);
    }
  }
}

CachedChunks Collector::finish() {
  for (std::vector<uint64_t>* list : {&result_.chunks, &result_.structs, &result_.keys}) {
    std::ranges::sort(*list);
    list->erase(std::ranges::unique(*list).begin(), list->end());
  }
  result_.unknown_shape = strange_ && result_.structs.empty();
  return std::move(result_);
}

}  // namespace

std::optional<TcacheShape> TcacheShape::of_chunk(uint64_t size) {
  if (size - 0x250 <= kSlack) return TcacheShape{64, 1, false};
  if (size - 0x290 <= kSlack) return TcacheShape{64, 2, false};
  if (size - 0x300 <= kSlack) return TcacheShape{76, 2, true};
  return std::nullopt;
}

bool looks_like_filled_tcache(const Window& window, uint64_t chunk) {
  auto shape = TcacheShape::of_chunk(chunk_size(window.size_word(chunk)));
  uint64_t user = chunk + kHeaderBytes;
  if (!shape || !window.holds(user, shape->bytes())) return false;
  bool any = false;
  for (uint32_t i = 0; i < shape->bins; ++i) {
    uint64_t head = window.word(user + shape->entries_offset() + i * 8);
    if (head % kAlignment != 0 || head >> 48 != 0) return false;
    const std::byte* count = window.bytes.data() + (user - window.begin) + uint64_t{i} * shape->count_bytes;
    uint32_t value = shape->count_bytes == 1 ? load<uint8_t>(count) : load<uint16_t>(count);
    if (!shape->counts_down && (head == 0) != (value == 0)) return false;
    any |= head != 0;
  }
  return any;
}

CachedChunks find_cached_chunks(const CoreDump& dump, const std::vector<Instance>& instances,
                                const std::vector<uint64_t>& orphans, Diagnostics& diagnostics) {
  Collector collector(dump, instances, diagnostics);
  collector.add_threads();
  collector.add_orphans(orphans);
  collector.add_fastbins();
  return collector.finish();
}

}  // namespace heapwalk::glibc
