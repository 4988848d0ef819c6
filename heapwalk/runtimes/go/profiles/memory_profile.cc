// The heap profile: sampled allocations and what of them is not freed, by stack.
//
// It is what the run-time has published of its counts (memory_counts.h): `active` with the current cycle added, or all of it when
// no collection has published anything yet.
#include "heapwalk/runtimes/go/profiles/heap_sampling.h"
#include "heapwalk/runtimes/go/profiles/memory_counts.h"
#include "heapwalk/runtimes/go/profiles/profiles.h"
#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {
namespace {

// What is published, and what the run-time would publish before it writes a profile.
void publish(std::vector<CountedBucket>& buckets, uint32_t cycle) {
  bool nothing = true;
  for (CountedBucket& bucket : buckets) {
    bucket.active.add(bucket.future[cycle % CountedBucket::kCycles]);
    bucket.future[cycle % CountedBucket::kCycles] = {};
    nothing = nothing && bucket.active.allocations == 0 && bucket.active.frees == 0;
  }
  if (!nothing) return;
  for (CountedBucket& bucket : buckets) bucket.active = bucket.all();
}

}  // namespace

Result<OwnProfile> read_memory_profile(const ProfileInputs& inputs, bool allocations_first, Diagnostics& diagnostics) {
  const auto rate = read_sampling_rate(inputs);
  const auto head = find_variable(inputs, "runtime.mbuckets"), cycle = find_variable(inputs, "runtime.mProfCycle");
  if (!rate) return std::unexpected(rate.error());
  if (*rate <= 0) return std::unexpected(sampling_is_off(inputs, "heap profile", *rate));
  if (!head) return std::unexpected(head.error());
  if (!cycle) return std::unexpected(cycle.error());
  const auto cycle_bits =
      Record(inputs.dump.memory, inputs.process.layout, *cycle).read<uint32_t>(Field::mProfCycleHolder_value);
  if (!cycle_bits) return fail("{}: runtime.mProfCycle is not in the core", inputs.dump.path);

  std::vector<CountedBucket> buckets;
  for (Bucket& bucket : read_buckets(inputs, *head, BucketType::memory, diagnostics)) {
    auto counted = count_bucket(inputs, std::move(bucket));
    if (counted)
      buckets.push_back(*std::move(counted));
    else
      diagnostics.add("go_profile_bucket_unread", "buckets of the heap profile whose counts are not in the core");
  }
  publish(buckets, *cycle_bits >> 1);

  OwnProfile profile;
  profile.sample_types = {
      {"alloc_objects", "count"}, {"alloc_space", "bytes"}, {"inuse_objects", "count"}, {"inuse_space", "bytes"}};
  profile.default_sample_type = allocations_first ? "alloc_space" : "inuse_space";
  profile.period_type = {"space", "bytes"};
  profile.period = *rate;
  const int release = inputs.process.layout.minor();
  const ExpMethod method = exp_method(inputs);
  CallStacks stacks(inputs.functions, profile);
  for (const CountedBucket& counted : buckets) {
    const MemoryCounts& counts = counted.active;
    OwnProfile::Sample sample;
    sample.locations = visible_locations(stacks, counted.bucket.stack, release);
    for (const auto& [objects, bytes] :
         {std::pair(counts.allocations, counts.allocated_bytes),
          std::pair(counts.allocations - counts.frees, counts.allocated_bytes - counts.freed_bytes)}) {
      const auto scaled = scale_sample(static_cast<int64_t>(objects), static_cast<int64_t>(bytes), *rate, method);
      sample.values.insert(sample.values.end(), {scaled.first, scaled.second});
    }
    if (counts.allocations != 0 || release >= 27)
      sample.labels.push_back({"bytes", "", static_cast<int64_t>(counted.bucket.size_bytes)});
    profile.samples.push_back(std::move(sample));
  }
  return profile;
}

}  // namespace heapwalk::go
