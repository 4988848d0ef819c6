// The pointers of objects on Go's heap: bits or types, whichever the span has (heap.h).
//
//     up to 512 bytes   bits        ─► words
//     header, large     type ─► mask, tiled from the header's end to the end of the slot ─► words
//
// A slice's array has the type of its elements only, so the mask repeats; what a slot holds behind the last element is zero.
// Source: Go 1.22 … 1.27 runtime/mbitmap.go (typePointers).
#pragma once

#include "heapwalk/managed_heap.h"
#include "heapwalk/runtimes/go/heap/heap.h"
#include "heapwalk/runtimes/go/heap/pointer_mask.h"

namespace heapwalk::go {

constexpr uint64_t kHeaderBytes = 8;  // of a slot: the address of its type

class HeapPointers final : public PointerReader {
 public:
  explicit HeapPointers(const Heap& heap) : heap_(heap), masks_(heap.dump().memory, heap.process().layout) {}

  bool read(AddressRange object, AddressRange window, std::vector<Address>& words) override;
  // The type that the run-time notes for the slot: of its elements, if it holds several. Null: none.
  Address noted_type(const Span& span, AddressRange slot) const;
  // The span around the address; the one found last is looked at first.
  const Span* span_of(Address address);

 private:
  static void tile(AddressRange room, AddressRange window, const PointerMask& mask, std::vector<Address>& words);

  const Heap& heap_;
  PointerMasks masks_;
  const Span* span_ = nullptr;
};

}  // namespace heapwalk::go
