// The sink's laws, enforced block by block: what breaks them is dropped here, so that every later stage may rely on
// them without looking again.
#include "heapwalk/allocation_sink.h"

#include <bit>

namespace heapwalk {

AllocationSink::AllocationSink(AddressRange region, uint8_t allocator, uint32_t granule_bytes)
    : region_(region), allocator_(allocator), end_of_last_(region.begin) {
  uint32_t granule = std::bit_floor(granule_bytes < 8 ? 8U : granule_bytes > 4096 ? 4096U : granule_bytes);
  granule_shift_ = static_cast<uint32_t>(std::countr_zero(granule));
}

void AllocationSink::add(Address address, uint64_t size_bytes, AllocationState state) {
  bool lawful = address >= end_of_last_ && address < region_.end && address.is_aligned(1ULL << granule_shift_) &&
                size_bytes != 0 && size_bytes <= region_.end - address && words_.size() < UINT32_MAX;
  if (!lawful) {
    ++dropped_;
    return;
  }
  end_of_last_ = address + size_bytes;
  uint64_t granule = address.value >> granule_shift_;
  uint64_t page = granule / kGranulesPerPage;
  if (pages_.empty() || pages_.back() != page) {
    pages_.push_back(page);
    starts_.push_back({});
  }
  starts_.back()[granule % kGranulesPerPage / 64] |= 1ULL << (granule % 64);
  if (!SizeWord::fits(size_bytes)) odd_sizes_.push_back({static_cast<uint32_t>(words_.size()), size_bytes});
  words_.push_back(SizeWord::pack(size_bytes, state));
  auto slot = static_cast<size_t>(state);
  totals_.bytes[slot] += size_bytes;
  ++totals_.objects[slot];
}

}  // namespace heapwalk
