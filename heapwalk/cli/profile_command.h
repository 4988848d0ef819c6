// `heapwalk profile`: what the program's own run-time kept, without any analysis of the heap.
#pragma once

#include "dump/base/result.h"
#include "dump/core_options.h"
#include "heapwalk/cli/options.h"

namespace heapwalk::cli {

// `color`: text may use terminal colours.
Result<void> write_own_profile(const Options& options, const CoreOptions& core, bool color);

// Why the wanted output is no place for a pprof file: nothing, or what to do instead.
std::optional<Error> check_profile_output(const Options& options);

}  // namespace heapwalk::cli
