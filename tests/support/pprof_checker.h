// A strict reader of pprof profiles: everything that some viewer in the field is known to reject or misread is a
// violation here, and so is every departure from the encoding that heapwalk promises.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/profile.pb.h"

namespace heapwalk::test {

struct CheckedProfile {
  std::vector<std::string> violations;  // empty: the profile keeps every rule
  perftools::profiles::Profile profile;
  std::string bytes;                   // uncompressed
  std::array<int64_t, 4> totals = {};  // by sample type
  // Stacks, root first, joined with ';', and their summed value: of sample type 1 (inuse_space) and 3 (path_space).
  std::map<std::string, int64_t> by_dominator, by_path;

  std::string violation_text() const;
};

// `file`: a profile as written to disk.
CheckedProfile check_profile(std::string_view file);

}  // namespace heapwalk::test
