#include "tests/support/truth.h"

#include <algorithm>
#include <cstring>

namespace heapwalk {
namespace {

constexpr char kMagic[] = "heapwalk truth 1";
constexpr uint64_t kPage = 4096;

struct Header {  // as in truth.c
  char magic[16];
  uint64_t self, slots, in_flight, unknown_frees, overflows, lost_count, lost[8];
};
struct Slot {
  uint64_t key, requested, usable;
};

// The table begins at some page of some anonymous mapping, because mappings merge.
std::optional<Address> find_table(const CoreDump& dump) {
  for (const Region& region : dump.memory.regions()) {
    Bytes bytes = region.bytes();
    uint64_t skip = region.range.begin.align_up(kPage) - region.range.begin;
    for (uint64_t at = skip; at + sizeof(Header) <= bytes.size(); at += kPage) {
      if (std::memcmp(bytes.data() + at, kMagic, 16) != 0) continue;
      if (load<Header>(bytes.data() + at).self == (region.range.begin + at).value) return region.range.begin + at;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Truth> read_truth(const CoreDump& dump) {
  auto table = find_table(dump);
  if (!table) return fail("{}: no table of live allocations in the core", dump.path);
  Header header = *dump.memory.read<Header>(*table);
  if (header.overflows != 0) return fail("{}: the table of live allocations overflowed", dump.path);
  Bytes slots = dump.memory.read_exactly(*table + kPage, header.slots * sizeof(Slot));
  if (slots.empty())
    return fail("{}: the table of live allocations at {:#x} is not all there", dump.path, table->value);
  Truth truth;
  truth.in_flight = header.in_flight;
  truth.unknown_frees = header.unknown_frees;
  for (uint64_t i = 0; i < std::min<uint64_t>(header.lost_count, 8); ++i)
    truth.lost.push_back(Address{~header.lost[i]});
  for (uint64_t i = 0; i < header.slots; ++i) {
    Slot slot = load<Slot>(slots.data() + i * sizeof(Slot));
    if (slot.key > 1) truth.live.push_back({Address{~slot.key}, slot.requested, slot.usable});
  }
  std::ranges::sort(truth.live, {}, &TruthRow::address);
  return truth;
}

}  // namespace heapwalk
