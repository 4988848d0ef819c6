// The words of a range that refer to the heap, for those who look for roots.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "heapwalk/roots/find_roots.h"

namespace heapwalk {

// `range` less the sorted, disjoint `holes`, ascending.
inline std::vector<AddressRange> subtract(AddressRange range, std::span<const AddressRange> holes) {
  std::vector<AddressRange> rest;
  auto hole = std::ranges::upper_bound(holes, range.begin, {}, &AddressRange::end);
  for (; hole != holes.end() && hole->begin < range.end; ++hole) {
    if (range.begin < hole->begin) rest.push_back({range.begin, hole->begin});
    range.begin = std::max(range.begin, hole->end);
  }
  if (!range.empty()) rest.push_back(range);
  return rest;
}

// Sorts by address and joins what overlaps or touches.
inline std::vector<AddressRange> merged(std::vector<AddressRange> ranges) {
  std::erase_if(ranges, [](AddressRange r) { return r.empty(); });
  std::ranges::sort(ranges);
  std::vector<AddressRange> result;
  for (AddressRange r : ranges) {
    if (!result.empty() && r.begin <= result.back().end) {
      result.back().end = std::max(result.back().end, r.end);
    } else {
      result.push_back(r);
    }
  }
  return result;
}

// f(Address of the word) for every aligned word of `range` that points into a used allocation and is not private. Of those
// that lead into a managed heap only what its collector takes for pointers.
template <class F>
void for_each_heap_word(const RootInputs& inputs, AddressRange range, F f) {
  const AddressRange heap = inputs.objects->span();
  for (AddressRange part : subtract(range, inputs.private_memory->ranges)) {
    Address at = part.begin.align_up(8);
    while (at < part.end) {
      Bytes bytes = inputs.dump->memory.read(at, part.end - at);
      for (size_t offset = 0; offset + 8 <= bytes.size(); offset += 8) {
        Address value{load<uint64_t>(bytes.data() + offset)};
        if (!heap.contains(value) || !inputs.objects->find_used(value)) continue;
        if (inputs.managed != nullptr && inputs.managed->contains(value) && !inputs.managed->kind_of(at + offset))
          continue;
        f(at + offset);
      }
      // Past what could be read: on to the next region, if any begins inside the range.
      at = (at + bytes.size()).align_up(8);
      if (at >= part.end) break;
      auto regions = inputs.dump->memory.regions();
      auto next = std::ranges::lower_bound(regions, at, {}, [](const Region& r) { return r.range.begin; });
      if (const Region* here = inputs.dump->memory.find(at); here != nullptr) {
        if (here->data == nullptr || here->range.end - at < 8) at = here->range.end.align_up(8);
      } else if (next != regions.end()) {
        at = next->range.begin.align_up(8);
      } else {
        break;
      }
    }
  }
}

}  // namespace heapwalk
