// What memory without a type still says about types.
//
//     package variables of a stripped program, stacks, objects that no typed pointer leads to:
//       │ … │ address of a type or itab │ pointer │ …     an interface, more likely than not: the pointer leads to such a value
//                                                         (the collector knows the second word as a pointer, not the first)
//       │ address of a function's code │ …                a closure, if a closure of that function is made in such a slot
//
// What comes of it has to fit like any other claim.
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "heapwalk/runtimes/go/heap/heap_pointers.h"
#include "heapwalk/runtimes/go/types/value_walk.h"

namespace heapwalk::go {

class UntypedScan {
 public:
  // All outlive this; none is changed. One per worker. `closures`: what is known of closures, by their function's entry.
  UntypedScan(const Heap& heap, const DynamicTypes& dynamic, const ValueWalk& walk,
              const std::unordered_map<Address, Address>& closures)
      : memory_(&heap.dump().memory), dynamic_(&dynamic), walk_(&walk), closures_(&closures), pointers_(heap) {}

  // Appends what an object in use, that has no type, leads to or is.
  void object(AddressRange slot, std::vector<Lead>& leads);
  // Words that are pointers.
  void words(std::span<const Address> words, std::vector<Lead>& leads) const;

 private:
  const AddressSpace* memory_;
  const DynamicTypes* dynamic_;
  const ValueWalk* walk_;
  const std::unordered_map<Address, Address>* closures_;
  HeapPointers pointers_;
  std::vector<Address> words_;
};

}  // namespace heapwalk::go
