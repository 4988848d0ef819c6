// When a profile was taken: at the core's own time, unless SOURCE_DATE_EPOCH says otherwise
// (https://reproducible-builds.org/specs/source-date-epoch).
#pragma once

#include <cstdlib>

#include "dump/core_dump.h"

namespace heapwalk::cli {

inline int64_t profile_time(const CoreDump& dump) {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  return epoch != nullptr && *epoch != '\0' ? std::strtoll(epoch, nullptr, 10) : dump.process.time_seconds;
}

}  // namespace heapwalk::cli
