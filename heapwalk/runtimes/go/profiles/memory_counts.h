// What the run-time counted of its samples, by the stack that allocated them.
//
// Allocations come at once, frees come while the collector sweeps. So that a profile does not show what only nobody looked at
// yet as in use, events are counted for a collection that is still to come, and published when all of its frees are in:
//
//     memRecord { active, future[3] }     allocation ─► future[(cycle + 2) % 3]     free ─► future[(cycle + 1) % 3]
//                                         published:    active += future[cycle % 3]
//
// All four together are what happened up to this moment. An allocation is counted where its object gets the note that
// leads to this bucket, and a free where the sweeper takes that note away: an object that is dead and not swept yet has its note and
// is not counted as freed. So allocations − frees over all four are the notes of the bucket, exactly, swept or not;
// but a thread may be caught between the one and the other. Source: Go 1.19 … 1.27 runtime/mprof.go (mProf_Malloc,
// mProf_Free), mheap.go (setprofilebucket, freeSpecial), mgcsweep.go.
#pragma once

#include <cstdint>
#include <optional>

#include "heapwalk/runtimes/go/profiles/profile_buckets.h"

namespace heapwalk::go {

struct MemoryCounts {
  uint64_t allocations = 0, frees = 0, allocated_bytes = 0, freed_bytes = 0;

  void add(const MemoryCounts& other) {
    allocations += other.allocations;
    frees += other.frees;
    allocated_bytes += other.allocated_bytes;
    freed_bytes += other.freed_bytes;
  }
};

struct CountedBucket {
  static constexpr uint32_t kCycles = 3;

  Bucket bucket;
  MemoryCounts active;
  MemoryCounts future[kCycles];

  MemoryCounts all() const {
    MemoryCounts sum = active;
    for (const MemoryCounts& counts : future) sum.add(counts);
    return sum;
  }
};

// Nothing where the core lacks it.
std::optional<CountedBucket> count_bucket(const ProfileInputs& inputs, Bucket bucket);

}  // namespace heapwalk::go
