// What an allocator decoder fills: the blocks of one heap region, in ascending order.
//
//     add(0x…010, 40, used)  add(0x…040, 24, free)  …
//          │                     │
//          ▼                     ▼
//     pages_ / starts_: one bit per granule where a block starts, kept only for pages that have one
//     words_:           one 16-bit word per block: state and size
//
// One sink per region, filled by one worker; ObjectIndex::build joins them. A region may be far larger than its
// blocks (an absent 1 TiB mapping), so memory grows with the blocks, never with the region.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dump/base/address.h"
#include "heapwalk/ids.h"

namespace heapwalk {

// What the allocator thinks of a block. Only `used` blocks are objects of the graph: they are scanned and can be
// pointed to. `cached` blocks were freed by the program and wait in a thread cache or fastbin: never used, never leaks.
enum class AllocationState : uint8_t { used, free, cached, metadata, top };
constexpr size_t kAllocationStates = 5;

struct Allocation {
  Address address;          // what malloc returned (for free blocks: would return)
  uint64_t size_bytes = 0;  // usable bytes, as malloc_usable_size would say
  AllocationState state = AllocationState::used;
  uint8_t allocator = 0;  // index into the analysis's allocator list
};

struct StateTotals {  // indexed by AllocationState
  uint64_t bytes[kAllocationStates] = {};
  uint64_t objects[kAllocationStates] = {};
  uint64_t unexplained_bytes = 0;
};

constexpr uint32_t kGranulesPerPage = 256;
using PageStarts = std::array<uint64_t, kGranulesPerPage / 64>;  // bit g: an allocation starts at granule g

// State and size of one block in 16 bits: the state above the size in units of 8 bytes. Sizes that do not fit (64 KiB
// and more, or no multiple of 8) are marked and looked up in a side table, sorted by the block's number.
struct SizeWord {
  static constexpr uint32_t kSizeBits = 13;
  static constexpr uint32_t kElsewhere = (1U << kSizeBits) - 1;

  static constexpr bool fits(uint64_t size_bytes) { return size_bytes % 8 == 0 && size_bytes / 8 < kElsewhere; }
  static constexpr uint16_t pack(uint64_t size_bytes, AllocationState state) {
    uint32_t size = fits(size_bytes) ? static_cast<uint32_t>(size_bytes / 8) : kElsewhere;
    return static_cast<uint16_t>(static_cast<uint32_t>(state) << kSizeBits | size);
  }
  static constexpr uint32_t size_field(uint16_t word) { return word & kElsewhere; }
  static constexpr AllocationState state(uint16_t word) { return static_cast<AllocationState>(word >> kSizeBits); }
};

struct OddSize {
  uint32_t number;  // of the block: in the sink, or its ObjectId
  uint64_t size_bytes;
};

class AllocationSink {
 public:
  // `granule_bytes`: a power of two, at least 8; every block starts on a multiple of it.
  AllocationSink(AddressRange region, uint8_t allocator, uint32_t granule_bytes);

  // Ascending, disjoint, not empty, inside the region and granule-aligned; a block that breaks the law is dropped, and
  // counted.
  void add(Address address, uint64_t size_bytes, AllocationState state);
  // Bytes of the region that the walk could not interpret.
  void add_unexplained(uint64_t bytes) { totals_.unexplained_bytes += bytes; }

  AddressRange region() const { return region_; }
  uint8_t allocator() const { return allocator_; }
  uint64_t dropped() const { return dropped_; }
  const StateTotals& totals() const { return totals_; }

 private:
  friend class ObjectIndex;

  AddressRange region_;
  uint8_t allocator_ = 0;
  uint32_t granule_shift_ = 4;
  uint64_t dropped_ = 0;
  Address end_of_last_;
  StateTotals totals_;
  std::vector<uint64_t> pages_;  // page numbers, ascending: address >> (granule_shift_ + 8)
  std::vector<PageStarts> starts_;
  std::vector<uint16_t> words_;
  std::vector<OddSize> odd_sizes_;
};

}  // namespace heapwalk
