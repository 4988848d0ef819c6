// A profile that the program's own run-time kept, as a pprof file like those that it writes itself.
//
// Unlike in the retention profile, locations are instructions: they have addresses, and belong to the mapping of the
// image that they are in, with its build id. So `list`, `weblist` and `-base` work on it as on a profile fetched from the
// running program. What could not be read is in the profile's comments (`pprof -comments`).
#pragma once

#include <string>

#include "heapwalk/own_profile.h"

namespace heapwalk {

// The file's bytes. `time_seconds`: of the profile.
std::string make_own_profile(const OwnProfile& profile, const CoreDump& dump, int64_t time_seconds,
                             const Diagnostics& diagnostics);

}  // namespace heapwalk
