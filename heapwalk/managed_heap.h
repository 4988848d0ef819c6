// A heap whose collector knows every reference to it, and so do we: nothing else refers into it.
//
//     package variables ─┐
//     stacks, by slot    ├─► words that the collector takes for pointers ─► managed heap ─► the pointers of its objects
//     finalizers …      ─┘         (pointer words)                               ▲                     │
//                                                                                └─────────────────────┘
//     malloc's blocks ─── tainted: no reference for the collector, but somebody may look for it ──┘
//     registers, other threads' stacks, unknown mappings ─── nothing: what looks like a pointer there is none
//
// The pointers of its objects come from a PointerReader; their other words may still refer to malloc's blocks, and what
// they and the pointers refer to outside the managed heap is an ordinary reference.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "dump/base/address.h"
#include "heapwalk/retention_graph.h"

namespace heapwalk {

// One per worker: it may remember what it has seen.
class PointerReader {
 public:
  virtual ~PointerReader() = default;
  // Appends the words within `window`, a part of one object of the heap, that are pointers, ascending. False, and nothing
  // appended, where that is not known: then every word may be one. Callers ask for large objects piece by piece.
  virtual bool read(AddressRange object, AddressRange window, std::vector<Address>& words) = 0;
};

struct ManagedHeap {
  std::vector<AddressRange> ranges;         // all of the heap, idle memory included; sorted, disjoint
  std::vector<Address> exact_words;         // outside of the heap; sorted
  std::vector<Address> conservative_words;  // what the collector itself takes for pointers to be safe; sorted
  std::function<std::unique_ptr<PointerReader>()> make_reader;

  bool empty() const { return ranges.empty(); }
  bool contains(Address address) const {
    auto at = std::ranges::upper_bound(ranges, address, {}, &AddressRange::begin);
    return at != ranges.begin() && std::prev(at)->contains(address);
  }
  // Of a word outside of the heap that leads into it: what it is to the collector. Nothing: no pointer.
  std::optional<EdgeKind> kind_of(Address word) const {
    if (std::ranges::binary_search(exact_words, word)) return EdgeKind::exact;
    if (std::ranges::binary_search(conservative_words, word)) return EdgeKind::conservative;
    return std::nullopt;
  }
};

}  // namespace heapwalk
