// Which objects on Go's heap were sampled when they were allocated, and by which stack.
//
//     mspan.specials ─► specialprofile { offset, b } ─► bucket { size, stack }
//
// Each is an object as the allocator gave it out: a whole tiny block, a large object, a chunk of a user arena (which is
// counted with the size of its address range, 8 MB). As many notes lead to a bucket as it has allocations that are not
// freed (memory_counts.h); where that does not hold, a diagnostic says so.
// Source: Go 1.19 … 1.27 runtime/mheap.go (specialprofile), malloc.go (profilealloc), arena.go.
#pragma once

#include <span>

#include "heapwalk/runtimes/go/heap/specials.h"
#include "heapwalk/runtimes/go/profiles/profiles.h"
#include "heapwalk/sampled_objects.h"

namespace heapwalk::go {

// `specials`: all that were read. Error: nothing was sampled, and why.
Result<SampledObjects> read_allocation_samples(const ProfileInputs& inputs, std::span<const Special> specials,
                                               Diagnostics& diagnostics);

}  // namespace heapwalk::go
