// Go's heap as an allocator's: every slot of every span in use is an allocation, used or free.
//
//     arena ├ span: slots … rest ┤ stack ┤ span … ┤ (no span: idle) ┤
//             used, free, metadata          │        └ free: the run-time keeps it, or gave it back to the system
//                                           └ not the heap's: a region ends before it, the next begins behind it
//
// Neighbouring free slots are one free block: they are no objects, and 13 million of them would cost as much as objects.
// The sum of used slots is what the run-time calls HeapAlloc. Slots of spans that are not swept yet count as used as in
// the run-time: some of them hold what the last collection found dead.
#pragma once

#include <memory>

#include "heapwalk/allocators/allocator.h"
#include "heapwalk/runtimes/go/heap/heap.h"

namespace heapwalk::go {

// `heap` outlives the decoder.
std::unique_ptr<HeapDecoder> make_heap_decoder(const Heap& heap);

}  // namespace heapwalk::go
