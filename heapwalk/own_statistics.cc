#include "heapwalk/own_statistics.h"

#include "heapwalk/runtimes/go/profiles/memory_statistics.h"

namespace heapwalk {

Result<OwnStatistics> read_own_statistics(const CoreDump& dump, Diagnostics& diagnostics) {
  return go::read_memory_statistics(dump, diagnostics);
}

}  // namespace heapwalk
