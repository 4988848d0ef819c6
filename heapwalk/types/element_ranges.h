// What a container says about the elements behind its pointers: where the words are that say how many there are, and which.
//
//     vector      first +0 ─► A B C . .     end +8, limit +16
//     RawTable    ctrl +0  ─► after the buckets, of which mask +8 knows the number
//     deque       two of them: its first block and its last
//
// Offsets are from the start of the value that the layout is of. Extents (type_claims.h) are what these words say in one
// container.
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/types/container_rules.h"
#include "heapwalk/types/type_layout.h"

namespace heapwalk {

struct PlacedRange {
  uint32_t pointer_offset_bytes = 0;  // where the pointer is that it speaks of
  ElementRange range;
};

// Of a container that begins at `offset_bytes`.
std::vector<PlacedRange> place_ranges(const TypeTable& types, const ContainerRule& rule, TypeId record,
                                      uint64_t offset_bytes);

}  // namespace heapwalk
