// Folded stacks as a pprof profile.
//
// Two pairs of sample types over the same bytes. `inuse_objects`, `inuse_space`: stacks are dominator chains, so pprof's own
// cumulative value is the retained size. `path_objects`, `path_space`: stacks are shortest paths from a root. A sample has
// values in one pair and zeros in the other. There is no sample type of retained bytes: each ancestor would count a
// subtree again.
//
// The encoding is chosen for what viewers in the field accept (schema: proto/profile.proto, github.com/google/pprof):
// ids are 1..N in table order, locations have no address and no mapping, the one mapping says which binary it was and
// claims to be symbolised so that no tool tries to, gzip is one member with time 0. The same core gives the same bytes.
#pragma once

#include <cstdint>
#include <string>

#include "dump/core_dump.h"
#include "heapwalk/profile_stacks.h"

namespace heapwalk {

struct ProfileLimits {                 // what servers that collect profiles accept
  size_t max_samples = 16'000;         // of both pairs together
  size_t max_bytes = 4 * 1024 * 1024;  // before compression
};

struct ProfileFacts {
  std::string binary;    // the main program's path
  std::string build_id;  // lower-case hex
  AddressRange mapping;
  int64_t time_seconds = 0;
};

ProfileFacts profile_facts(const CoreDump& dump);

// The protobuf message, not compressed. Text that is no UTF-8 is repaired, names beyond 4 KiB are cut.
std::string encode_profile(const ProfileStacks& stacks, const ProfileFacts& facts);

// The file's bytes: as many samples as the limits allow, the rest folded.
std::string make_profile(const FoldedStacks& stacks, const ProfileFacts& facts, const ProfileLimits& limits);

}  // namespace heapwalk
