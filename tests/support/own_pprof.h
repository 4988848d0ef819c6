// Profiles as a Go program writes them, in a form that can be compared: what each stack's values are.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/profile.pb.h"

namespace heapwalk::test {

struct DecodedProfile {
  std::string error;  // not empty: no profile
  perftools::profiles::Profile profile;

  std::string text(int64_t index) const { return profile.string_table(static_cast<int>(index)); }
  // "inuse_space/bytes".
  std::vector<std::string> sample_types() const;
  std::string period_type() const;

  // By stack, one location per line, innermost first: its address, then function, file, line and first line of the
  // function for each inlined call. Then the labels, but for those with the key `without_label`. Values of equal stacks are added.
  std::map<std::string, std::vector<int64_t>> by_stack(std::string_view without_label = "") const;
  std::vector<int64_t> totals() const;
};

// `file`: a gzipped profile's bytes.
DecodedProfile decode_profile(const std::string& file);

}  // namespace heapwalk::test
