// The live set that testdata/programs/truth.c recorded, read back from the core.
#pragma once

#include <cstdint>
#include <vector>

#include "dump/core_dump.h"

namespace heapwalk {

struct TruthRow {
  Address address;
  uint64_t requested_bytes = 0;
  uint64_t usable_bytes = 0;  // malloc_usable_size
};

struct Truth {
  std::vector<TruthRow> live;  // by address
  std::vector<Address> lost;   // whose headers the program destroyed
  uint64_t in_flight = 0;      // calls of malloc and friends that had not returned: must be 0 for an exact comparison
  uint64_t unknown_frees = 0;  // of blocks from before the recorder ran
};

// Errors: no table in the core, part of it is absent, or it overflowed.
Result<Truth> read_truth(const CoreDump& dump);

}  // namespace heapwalk
