// Whether a part of a value is there: the numbers beside it that say so are read.
#include <algorithm>
#include <cstring>

#include "heapwalk/types/type_layout.h"

namespace heapwalk {

bool TypeLayout::holds(uint16_t guard, const std::byte* data, uint64_t data_bytes) const {
  for (; guard != Guard::kNone; guard = guards[guard].outer) {
    const Guard& test = guards[guard];
    if (test.offset_bytes + uint64_t{test.size_bytes} > data_bytes) return false;
    uint64_t value = 0;
    std::memcpy(&value, data + test.offset_bytes, test.size_bytes);
    value &= test.mask;
    const bool holds = test.test == Guard::Test::not_zero  ? value != 0
                       : test.test == Guard::Test::equal   ? value == test.value
                       : test.test == Guard::Test::above   ? value > test.value
                       : test.test == Guard::Test::at_most ? value <= test.value
                                                           : std::ranges::find(test.others, value) == test.others.end();
    if (!holds) return false;
  }
  return true;
}

}  // namespace heapwalk
