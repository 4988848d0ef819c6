#include "heapwalk/allocators/glibc_arena.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "heapwalk/allocators/glibc_chunk.h"

namespace heapwalk::glibc {
namespace {

constexpr uint64_t kTopBeforeBins = 0x10;
constexpr uint64_t kNextAfterBins = 0x800;
constexpr uint64_t kSystemMemAfterBins = 0x818;
constexpr uint64_t kEndAfterBins = 0x828;  // of malloc_state
constexpr std::array<uint64_t, 3> kStartToBins = {0x70, 0x18, 0x68};
constexpr uint64_t kNoncontiguous = 2;  // in malloc_state.flags
constexpr int kEnoughBins = kBins - 7;  // a crash in the middle of an unlink leaves a list open
constexpr size_t kMaxArenas = 1 << 16;
constexpr size_t kMaxHeaps = 1 << 20;
constexpr uint64_t kLargestHeapInfo = 0x40;
constexpr uint64_t kSmallestHeapMax = 1 << 20;
constexpr uint64_t kLargestHeapMax = uint64_t{1} << 32;

// With `trust_absent`, a member that the core has lost is taken to point back.
bool closed_bin(const AddressSpace& memory, Address slot, uint64_t fd, uint64_t bk, bool trust_absent = false) {
  uint64_t bin = slot.value - kHeaderBytes;
  if (fd == bin && bk == bin) return true;
  if (fd == 0 || bk == 0 || fd % 8 != 0 || bk % 8 != 0) return false;
  uint64_t absent = trust_absent ? bin : 0;
  return memory.read_word(Address{fd} + 24).value_or(absent) == bin &&
         memory.read_word(Address{bk} + 16).value_or(absent) == bin;
}

// The struct start that the ring of arenas agrees with, and the ring's other members. Empty when it does not close.
std::vector<Address> ring_from(const CoreDump& dump, Address start, uint64_t start_to_bins) {
  std::vector<Address> ring{start};
  std::unordered_set<uint64_t> seen{start.value};
  while (ring.size() < kMaxArenas) {
    std::optional<Address> next = dump.memory.read_pointer(ring.back() + start_to_bins + kNextAfterBins);
    if (!next) break;
    if (*next == start) return ring;
    bool is_new = seen.insert(next->value).second;
    if (!is_new || closed_bins(dump.memory, *next + start_to_bins, dump.missing_bytes > 0) < kEnoughBins) break;
    ring.push_back(*next);
  }
  ring.front() = Address{};  // not closed: what was reached is still of use
  return ring;
}

Arena read_arena(const AddressSpace& memory, Address state, uint64_t start_to_bins, bool is_main) {
  Arena arena;
  arena.state = state;
  arena.bins = state + start_to_bins;
  arena.is_main = is_main;
  arena.state_bytes = start_to_bins + kEndAfterBins;
  arena.contiguous = (memory.read<uint32_t>(state + 4).value_or(0) & kNoncontiguous) == 0;
  arena.top = memory.read_pointer(arena.bins - kTopBeforeBins).value_or(Address{});
  if (arena.top == arena.bins - kTopBeforeBins) arena.top = Address{};  // initial_top
  arena.system_mem = memory.read_word(arena.bins + kSystemMemAfterBins).value_or(0);
  return arena;
}

struct HeapInfo {
  uint64_t arena = 0, prev = 0, size = 0, committed = 0;
};

std::optional<HeapInfo> read_heap_info(const AddressSpace& memory, uint64_t heap, uint64_t heap_max) {
  auto info = memory.read<HeapInfo>(Address{heap});
  if (!info || info->size == 0 || info->size % kPageBytes != 0 || info->size > heap_max) return std::nullopt;
  if (info->committed < info->size || info->committed > heap_max || info->prev % kSmallestHeapMax != 0)
    return std::nullopt;
  return info;
}

// The heap that holds `inside`: every heap begins at a multiple of the largest size that heaps of the process may have.
std::optional<uint64_t> heap_around(const AddressSpace& memory, Address inside, Address state) {
  for (uint64_t heap_max = kSmallestHeapMax; heap_max <= kLargestHeapMax; heap_max *= 2) {
    uint64_t heap = inside.align_down(heap_max).value;
    auto info = read_heap_info(memory, heap, heap_max);
    if (info && info->arena == state.value && inside.value - heap < info->size) return heap;
  }
  return std::nullopt;
}

// Fills `heaps` of a thread arena: from the heap of its top back through `prev`, and the one that holds its state.
void read_heaps(const AddressSpace& memory, Arena& arena, Diagnostics& diagnostics) {
  std::unordered_set<uint64_t> seen;
  bool chain_ended = false;
  auto from_top = arena.top ? heap_around(memory, arena.top, arena.state) : std::nullopt;
  if (from_top) {
    uint64_t heap = *from_top;
    while (seen.size() < kMaxHeaps && seen.insert(heap).second) {
      auto info = read_heap_info(memory, heap, kLargestHeapMax);
      if (!info || info->arena != arena.state.value) break;
      arena.heaps.push_back(AddressRange::of(Address{heap}, info->size));
      heap = info->prev;
      if (heap == 0) {
        chain_ended = true;
        break;
      }
    }
  }
  if (auto first = heap_around(memory, arena.state, arena.state)) {
    arena.heap_info_bytes = arena.state.value - *first;
    auto info = read_heap_info(memory, *first, kLargestHeapMax);
    AddressRange heap = AddressRange::of(Address{*first}, info ? info->size : 0);
    if (std::ranges::find(arena.heaps, heap) == arena.heaps.end()) arena.heaps.push_back(heap);
  }
  std::ranges::sort(arena.heaps);
  if (!chain_ended) {
    diagnostics.add("corrupt_arena", fmt::format("arena {:#x}: the chain of its heaps breaks off after {} heaps",
                                                 arena.state.value, arena.heaps.size()));
  }
}

// Arenas that the broken ring no longer reaches.
void add_orphans(const CoreDump& dump, Instance& instance) {
  for (Arena& arena : find_orphan_arenas(dump)) {
    bool known = std::ranges::any_of(instance.arenas, [&](const Arena& other) { return other.state == arena.state; });
    if (!known) instance.arenas.push_back(std::move(arena));
  }
}

std::optional<Instance> instance_at(const CoreDump& dump, Address bins, Diagnostics& diagnostics) {
  uint64_t start_to_bins = 0;
  std::vector<Address> ring;
  bool closed = false;
  for (uint64_t candidate : kStartToBins) {
    std::vector<Address> found = ring_from(dump, bins - candidate, candidate);
    closed = found.front().value != 0;
    if (closed || found.size() > ring.size()) {
      ring = std::move(found);
      start_to_bins = candidate;
    }
    if (closed) break;
  }
  if (!closed) {
    // system_mem ≤ max_system_mem, and neither is nothing: else this is no arena at all.
    uint64_t system_mem = dump.memory.read_word(bins + kSystemMemAfterBins).value_or(0);
    uint64_t most = dump.memory.read_word(bins + kSystemMemAfterBins + 8).value_or(0);
    if (system_mem == 0 || system_mem > most) return std::nullopt;
    ring.front() = bins - start_to_bins;
    diagnostics.add("corrupt_arena", fmt::format("main arena {:#x}: the ring of arenas breaks off after {} arenas",
                                                 ring.front().value, ring.size()));
  }
  Instance instance;
  instance.module = dump.find_module(bins);
  for (Address state : ring) {
    Arena arena = read_arena(dump.memory, state, start_to_bins, state == ring.front());
    if (!arena.is_main) read_heaps(dump.memory, arena, diagnostics);
    instance.arenas.push_back(std::move(arena));
  }
  if (!closed) add_orphans(dump, instance);
  return instance;
}

// The most closed window of 127 pairs in each cluster of candidates. One ring of flags per 16-byte phase.
std::vector<Address> scan_for_bins(const AddressSpace& memory, AddressRange range) {
  struct Phase {
    std::array<bool, kBins> ok = {};
    int count = 0;
    uint64_t position = 0;
  };
  std::array<Phase, 2> phases;
  std::vector<std::pair<Address, int>> hits;
  for (Address at = range.begin.align_up(8); at < range.end;) {
    Window window = Window::of(memory, {at, range.end});
    if (window.bytes.size() < 16) break;
    for (uint64_t slot = at.value; window.holds(slot, 16); slot += 8) {
      Phase& phase = phases[slot / 8 % 2];
      uint64_t fd = window.word(slot);
      bool ok = fd != 0 && closed_bin(memory, Address{slot}, fd, window.word(slot + 8));
      bool& oldest = phase.ok[phase.position++ % kBins];
      phase.count += int{ok} - int{oldest};
      oldest = ok;
      if (phase.count >= kEnoughBins) hits.emplace_back(Address{slot} - (kBins - 1) * 16, phase.count);
    }
    at = Address{window.end()}.align_up(8);
  }
  std::vector<Address> best;
  for (size_t i = 0; i < hits.size();) {
    size_t top = i;
    size_t j = i;
    for (; j < hits.size() && hits[j].first - hits[i].first < kBins * 16; ++j) {
      if (hits[j].second > hits[top].second) top = j;
    }
    best.push_back(hits[top].first);
    i = j;
  }
  return best;
}

bool is_libc(std::string_view name) {
  return name.starts_with("libc.so") || (name.starts_with("libc-") && name.find(".so") != std::string_view::npos);
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

std::vector<AddressRange> writable_ranges(const Module& module) {
  std::vector<AddressRange> ranges;
  for (const ModuleSegment& segment : module.segments) {
    if (segment.writable) ranges.push_back(segment.range);
  }
  return ranges;
}

// Writable mappings of files named like libc, each with the anonymous mapping (.bss) that follows it: for a core whose
// modules could not be read.
std::vector<AddressRange> libc_mappings(const CoreDump& dump) {
  std::vector<AddressRange> ranges;
  for (size_t i = 0; i < dump.mappings.size(); ++i) {
    const Mapping& mapping = dump.mappings[i];
    if (!mapping.writable || !is_libc(base_name(mapping.path))) continue;
    AddressRange range = mapping.range;
    if (i + 1 < dump.mappings.size() && dump.mappings[i + 1].path.empty() &&
        dump.mappings[i + 1].range.begin == range.end) {
      range.end = dump.mappings[i + 1].range.end;
    }
    ranges.push_back(range);
  }
  return ranges;
}

void search_module(const CoreDump& dump, const Module& module, bool use_symbols, std::vector<Instance>& instances,
                   Diagnostics& diagnostics) {
  if (use_symbols) {
    if (auto symbol = module.symbol_range("main_arena")) {
      for (uint64_t start_to_bins : kStartToBins) {
        Address bins = symbol->begin + start_to_bins;
        if (closed_bins(dump.memory, bins, dump.missing_bytes > 0) < kEnoughBins) continue;
        if (auto instance = instance_at(dump, bins, diagnostics)) {
          instance->by_symbol = true;
          instance->place = module.name;
          instances.push_back(std::move(*instance));
          return;
        }
      }
    }
  }
  for (AddressRange range : writable_ranges(module)) {
    for (Address bins : scan_for_bins(dump.memory, range)) {
      if (auto instance = instance_at(dump, bins, diagnostics)) {
        instance->place = module.name;
        instances.push_back(std::move(*instance));
      }
    }
  }
}

}  // namespace

int closed_bins(const AddressSpace& memory, Address bins, bool trust_absent) {
  Bytes bytes = memory.read_exactly(bins, kBins * 16);
  int closed = 0;
  for (size_t i = 0; i < bytes.size() / 16; ++i) {
    const std::byte* pair = bytes.data() + i * 16;
    closed += closed_bin(memory, bins + i * 16, load<uint64_t>(pair), load<uint64_t>(pair + 8), trust_absent);
  }
  return closed;
}

std::vector<Instance> find_instances(const CoreDump& dump, bool use_symbols, Diagnostics& diagnostics) {
  std::vector<Instance> instances;
  for (const Module& module : dump.modules) {
    if (is_libc(module.name) && module.in_link_map) search_module(dump, module, use_symbols, instances, diagnostics);
  }
  for (const Module& module : dump.modules) {
    bool is_static = module.is_executable && !module.dynamic;
    if (is_static || (instances.empty() && (module.is_executable || !is_libc(module.name) || !module.in_link_map))) {
      search_module(dump, module, use_symbols, instances, diagnostics);
    }
  }
  if (!instances.empty()) return instances;
  for (AddressRange range : libc_mappings(dump)) {
    for (Address bins : scan_for_bins(dump.memory, range)) {
      if (auto instance = instance_at(dump, bins, diagnostics)) {
        instance->place = "libc";
        instances.push_back(std::move(*instance));
      }
    }
  }
  return instances;
}

std::vector<Arena> find_orphan_arenas(const CoreDump& dump) {
  std::vector<Arena> arenas;
  for (const Mapping& mapping : dump.mappings) {
    if (!mapping.path.empty() || !mapping.writable) continue;
    Address at = mapping.range.begin.align_up(kSmallestHeapMax);
    for (; at >= mapping.range.begin && at < mapping.range.end && arenas.size() < kMaxArenas; at += kSmallestHeapMax) {
      auto info = read_heap_info(dump.memory, at.value, kLargestHeapMax);
      if (!info || info->prev != 0 || info->arena - at.value > kLargestHeapInfo) continue;
      for (uint64_t start_to_bins : kStartToBins) {
        Address state{info->arena};
        if (closed_bins(dump.memory, state + start_to_bins, dump.missing_bytes > 0) < kEnoughBins) continue;
        Arena arena = read_arena(dump.memory, state, start_to_bins, false);
        Diagnostics ignored;  // the chain may lead into what the core has lost
        read_heaps(dump.memory, arena, ignored);
        arenas.push_back(std::move(arena));
        break;
      }
    }
  }
  return arenas;
}

}  // namespace heapwalk::glibc
