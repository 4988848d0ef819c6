// The sizes that Go's allocator has: a request gets the next one above it.
//
//     new(T), 40 bytes            ─► 48       small: one of 67 sizes
//     make([]T, 100), 4000 bytes  ─► 4096     above 512 bytes with pointers, the type's address included (Go 1.22 …)
//     40 000 bytes                ─► 40 960   large: whole pages
//
// A value that fits a slot but would have got a smaller one was not what the slot was made for.
// Source: Go 1.19 … 1.27 runtime/sizeclasses.go, internal/runtime/gc/sizeclasses.go: the sizes are the same in all.
#pragma once

#include <cstdint>

namespace heapwalk::go {

constexpr uint64_t kPageBytes = 8192;  // of spans

// Whether a request for so many bytes, header included, is given a slot of that size.
bool is_slot_for(uint64_t request_bytes, uint64_t slot_bytes);

}  // namespace heapwalk::go
