// Go's memory statistics by the names that runtime.MemStats gives them, and where the heap's memory is.
#pragma once

#include "heapwalk/own_statistics.h"

namespace heapwalk::go {

Result<OwnStatistics> read_memory_statistics(const CoreDump& dump, Diagnostics& diagnostics);

}  // namespace heapwalk::go
