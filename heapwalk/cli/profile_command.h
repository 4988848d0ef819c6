// `heapwalk profile`: what the program's own run-time kept. One kind needs the analysis of the heap: "holders".
#pragma once

#include "dump/base/result.h"
#include "dump/core_options.h"
#include "heapwalk/analysis.h"
#include "heapwalk/cli/options.h"

namespace heapwalk::cli {

// Whether the profile says what holds things: then write_holder_profile() makes it.
bool is_profile_of_holders(const Options& options);
Result<void> write_holder_profile(const Options& options, const Analysis& analysis);

// The others. `color`: text may use terminal colours.
Result<void> write_own_profile(const Options& options, const CoreOptions& core, bool color);

// Why the wanted output is no place for a pprof file: nothing, or what to do instead.
std::optional<Error> check_profile_output(const Options& options);

}  // namespace heapwalk::cli
