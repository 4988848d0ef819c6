// The objects that the program's own run-time took as samples while it allocated them, and still knows: each says by which
// stack it was allocated, and stands for many that say nothing.
//
//     sample { object } ─► site { stack, size } ─► frames.locations
//
// Only live notes are kept by the run-time, so these are samples of what is on the heap now, garbage that nobody has swept
// included. Nothing here is per object of the heap: a run-time samples one of hundreds of thousands of bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "dump/base/address.h"
#include "heapwalk/own_profile.h"

namespace heapwalk {

struct SampledObjects {
  struct Site {                       // a stack and a size
    std::vector<uint32_t> locations;  // of frames.locations, innermost first; may be empty
    uint64_t size_bytes = 0;          // of each of its objects
  };
  struct Sample {
    Address object;  // begin of its slot
    uint32_t site = 0;
  };

  OwnProfile frames;  // functions, locations and the period; no samples
  std::vector<Site> sites;
  std::vector<Sample> samples;  // by address
  // How many objects and bytes so many samples of one size, of so many bytes together, stand for. Monotone in both.
  std::function<std::pair<int64_t, int64_t>(uint64_t objects, uint64_t bytes)> estimate;
};

}  // namespace heapwalk
