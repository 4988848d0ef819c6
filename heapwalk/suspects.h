// Who is to blame: the few sentences at the top of the report.
//
// A suspect is a place that alone holds a notable share of the heap: a root, memory that several roots share, or a group
// of leaks. From a root the search walks down the dominator tree while one child keeps nearly all of what its parent
// retains: where it stops is the accumulation point, and the path to it is what a person wants to read.
#pragma once

#include <span>
#include <vector>

#include "heapwalk/analysis.h"

namespace heapwalk {

// At most `limit` suspects, most retained first. Needs analysis.summary.totals and .leaks, and the number of allocations
// that each node retains which is no object.
std::vector<SuspectRow> find_suspects(const Analysis& analysis, std::span<const uint64_t> head_objects, size_t limit);

}  // namespace heapwalk
