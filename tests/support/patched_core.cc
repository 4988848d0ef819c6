#include "tests/support/patched_core.h"

#include <cstring>

namespace heapwalk {

bool PatchedCore::poke(Address address, uint64_t value) {
  const Region* region = dump_.memory.find(address);
  if (region == nullptr || region->data == nullptr || region->range.end - address < sizeof value) return false;
  AddressRange range = region->range;
  auto [copy, is_new] = copies_.try_emplace(range.begin);
  if (is_new) {
    copy->second.assign(region->data, region->data + range.size_bytes());
    std::vector<Region> regions(dump_.memory.regions().begin(), dump_.memory.regions().end());
    for (Region& candidate : regions) {
      if (candidate.range == range) candidate.data = copy->second.data();
    }
    dump_.memory = AddressSpace(std::move(regions));
  }
  std::memcpy(copy->second.data() + (address - range.begin), &value, sizeof value);
  return true;
}

}  // namespace heapwalk
