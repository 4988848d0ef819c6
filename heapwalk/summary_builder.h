// Condenses the stages' outputs into the rows of a report.
#pragma once

#include <span>

#include "heapwalk/analysis.h"

namespace heapwalk {

// `totals[i]` are the state sums of decoder i. Fills everything of analysis.summary; needs all stages before it.
void build_summary(Analysis& analysis, std::span<const StateTotals> totals, size_t threads);

}  // namespace heapwalk
