#include "heapwalk/types/outward_objects.h"

#include <algorithm>

#include "dump/base/parallel.h"

namespace heapwalk {

std::vector<OutwardObject> find_outward_objects(const CoreDump& dump, const ObjectIndex& objects,
                                                const ObjectTypes& types, const ManagedHeap& managed, size_t threads) {
  const auto is_managed = [&](AddressRange region) { return managed.contains(region.begin); };
  if (managed.empty() || std::ranges::all_of(objects.regions(), is_managed)) return {};

  const auto leads_out = [&](ObjectId id, Address start, uint64_t size_bytes, const Region*& region) {
    const ObjectShape shape = types.shape_of(id);
    if (shape.layout == nullptr || shape.layout->slots.empty() || !managed.contains(start)) return false;
    const std::byte* data = dump.memory.read_near(region, start, size_bytes);
    if (data == nullptr) return false;
    for (uint64_t at = shape.header_bytes; at + 8 <= size_bytes; at += 8) {
      const Address value{load<uint64_t>(data + at)};
      if (objects.span().contains(value) && !managed.contains(value)) return true;
    }
    return false;
  };

  constexpr uint32_t kObjects = 1 << 18;
  std::vector<std::vector<OutwardObject>> pieces((objects.size() + kObjects - 1) / kObjects);
  parallel_for(pieces.size(), threads, [&](size_t piece) {
    const auto first = static_cast<uint32_t>(piece * kObjects);
    const Region* region = nullptr;
    objects.for_each(first, std::min(objects.size() - first, kObjects) + first,
                     [&](ObjectId id, Address address, uint64_t size_bytes, AllocationState state) {
                       if (state == AllocationState::used && leads_out(id, address, size_bytes, region))
                         pieces[piece].push_back({index(id), address});
                     });
  });
  std::vector<OutwardObject> all;
  for (const auto& piece : pieces) all.insert(all.end(), piece.begin(), piece.end());
  return all;
}

}  // namespace heapwalk
