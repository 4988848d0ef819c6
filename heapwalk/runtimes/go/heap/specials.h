// What the run-time notes about single objects, and what of it keeps memory alive.
//
//     mspan.specials ─► finalizer ─► profile ─► …        by the object's offset in the span
//
//     finalizer      keeps its function, and what the object refers to: the finalizer may still look at all of it
//     cleanup        keeps its function (and, since Go 1.26, that function's argument)
//     weak handle    keeps the handle, never the object that it leads to
//     profile        the place in the program where the object was allocated: sampled, keeps nothing
//
// What is due but has not run yet waits in blocks of its own: runtime.allfin, runtime.gcCleanups.
// Source: Go 1.19 … 1.27 runtime/mheap.go (special…), mfinal.go, mcleanup.go, mgcmark.go (markroot, markrootSpans).
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/runtimes/go/heap/heap.h"

namespace heapwalk::go {

enum class SpecialKind : uint8_t { other, finalizer, weak_handle, profile, cleanup };

struct Special {
  SpecialKind kind = SpecialKind::other;
  Address address;      // of the note itself
  AddressRange object;  // the slot it is about
};

// All notes of all spans in use, by object.
std::vector<Special> read_specials(const Heap& heap, Diagnostics& diagnostics);

// Memory through which the run-time itself keeps objects alive.
struct Handle {
  const char* what;               // "finalizer", "queued finalizer", "cleanup", "queued cleanup", "weak handle"
  AddressRange location;          // a note, a block of notes, or the object whose references count (and not it itself)
  std::vector<Address> pointers;  // the words of it that are pointers; empty for an object, whose words the heap knows
};
std::vector<Handle> find_handles(const Heap& heap, const std::vector<Special>& specials, Diagnostics& diagnostics);

}  // namespace heapwalk::go
