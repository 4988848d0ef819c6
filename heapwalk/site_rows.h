// Where the memory was allocated and what holds it, in one table: the run-time's samples by place and holder.
//
//     main.(*Cache).fill cache.go:42      main.cache                         31.20MB   62 samples
//     main.(*Cache).fill cache.go:42      goroutine main.worker local batch   1.01MB    2 samples
//
// Estimates add up: over all holders of a stack they are, to the byte, what the program's own heap profile says that this stack
// has in use, once every free is counted. A share of k out of n samples cannot be scaled by itself, since both are
// rounded down; so each gets what is added when it joins those before it: scaled(first k) − scaled(first k − 1).
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/analysis.h"
#include "heapwalk/holders.h"

namespace heapwalk {

// The samples of one site that one holder holds.
struct HeldSamples {
  uint32_t site = 0, holder = 0;
  std::vector<NodeId> objects;  // kNoNode: the run-time notes a sample about what is no object in use
};

// By site, then holder, those in the order of their first sample.
std::vector<HeldSamples> group_samples(const Analysis& analysis, const SampledObjects& sampled, Holders& holders);

// What parts of one site stand for, one after the other: begin a new site by constructing anew.
class ShareEstimator {
 public:
  ShareEstimator(const SampledObjects& sampled, uint32_t site)
      : sampled_(sampled), size_bytes_(sampled.sites[site].size_bytes) {}
  std::pair<int64_t, int64_t> add(uint64_t samples);  // objects, bytes

 private:
  const SampledObjects& sampled_;
  uint64_t size_bytes_;
  uint64_t samples_ = 0;
  std::pair<int64_t, int64_t> before_ = {0, 0};
};

// All of them, by estimated bytes, descending. None where the run-time took no samples.
std::vector<SiteRow> site_rows(const Analysis& analysis, Diagnostics& diagnostics);

}  // namespace heapwalk
