// The memory statistics that the program's own run-time kept, for people and as JSON.
#pragma once

#include "heapwalk/own_statistics.h"
#include "report/output.h"

namespace heapwalk {

void write_text_statistics(const OwnStatistics& statistics, const Diagnostics& diagnostics, bool color, Output& output);
// { "schema", "runtime", "balance": {…_bytes}, "memstats": { the run-time's own names; null: not set },
//   "pauses": [{ "end_unix_ns", "duration_ns" }], "size_classes": [{ "size_bytes", "allocations", "frees" }],
//   "diagnostics" }
void write_json_statistics(const OwnStatistics& statistics, const Diagnostics& diagnostics, Output& output);

}  // namespace heapwalk
