// What a run-time says about the types of its own objects: claims that nobody else's pointers change.
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/types/object_types.h"

namespace heapwalk {

struct RuntimeTypes {
  struct Kind {
    TypeId element = kNoType;
    bool is_array = false;
    bool has_tail = false;
    uint8_t header_bytes = 0;
    TypeEvidence evidence = TypeEvidence::none;
  };
  std::vector<Kind> kinds = std::vector<Kind>(1);  // kinds[0]: nothing is known
  std::vector<uint16_t> kind_of;                   // by ObjectId, an index of `kinds`; empty: the run-time knows none
};

}  // namespace heapwalk
