// The name of a place inside a value, as a programmer would write it: "history", "limits.max", "[…].next".
//
// Base classes and anonymous members add no name. A container's own members are nobody's business: whatever lies inside
// `std::map sessions` is called "sessions". Its nodes are what their values are: "second.name"; the links between them
// are all called "next", so that a walk down a tree reads as one step.
#pragma once

#include <string>

#include "heapwalk/types/containers.h"

namespace heapwalk {

// Empty: the value itself (a pointer variable, the start of a scalar). Offsets outside the type: "+0x30".
std::string field_name(const TypeTable& types, const Containers& containers, TypeId type, uint64_t offset_bytes);

}  // namespace heapwalk
