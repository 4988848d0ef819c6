#include "heapwalk/runtimes/go/profiles/allocation_samples.h"

#include <algorithm>
#include <unordered_map>

#include "heapwalk/runtimes/go/profiles/heap_sampling.h"
#include "heapwalk/runtimes/go/profiles/memory_counts.h"
#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {
namespace {

constexpr uint32_t kNoSite = UINT32_MAX;

// Buckets by address, as sites.
class Sites {
 public:
  Sites(const ProfileInputs& inputs, SampledObjects& result)
      : inputs_(inputs), result_(result), stacks_(inputs.functions, result.frames) {}

  // kNoSite: no bucket of allocations is there.
  uint32_t at(Address bucket) {
    const auto [known, is_new] = by_bucket_.try_emplace(bucket.value, Known{kNoSite, 0});
    if (is_new) known->second.site = read(bucket);
    ++known->second.samples;
    return known->second.site;
  }

  // The run-time's own count of what is not freed, against the samples.
  void compare(Diagnostics& diagnostics) const {
    const auto head = inputs_.process.variable("runtime.mbuckets");
    if (!head) return;
    uint64_t different = 0;
    for (Bucket& bucket : read_buckets(inputs_, *head, BucketType::memory, diagnostics)) {
      const auto known = by_bucket_.find(bucket.at.value);
      const uint64_t samples = known == by_bucket_.end() ? 0 : known->second.samples;
      const auto counted = count_bucket(inputs_, std::move(bucket));
      const MemoryCounts all = counted ? counted->all() : MemoryCounts{};
      if (!counted || all.allocations - all.frees != samples) ++different;
    }
    if (different > 0)
      diagnostics.add("go_samples_differ",
                      "places of allocation of which not as many sampled objects were found as the run-time counted",
                      different);
  }

 private:
  struct Known {
    uint32_t site;
    uint64_t samples;
  };
  uint32_t read(Address at) {
    const auto bucket = read_bucket(inputs_, at, BucketType::memory);
    if (!bucket) return kNoSite;
    result_.sites.push_back(
        {visible_locations(stacks_, bucket->stack, inputs_.process.layout.minor()), bucket->size_bytes});
    return static_cast<uint32_t>(result_.sites.size() - 1);
  }

  const ProfileInputs& inputs_;
  SampledObjects& result_;
  CallStacks stacks_;
  std::unordered_map<uint64_t, Known> by_bucket_;
};

}  // namespace

Result<SampledObjects> read_allocation_samples(const ProfileInputs& inputs, std::span<const Special> specials,
                                               Diagnostics& diagnostics) {
  const auto rate = read_sampling_rate(inputs);
  if (!rate) return std::unexpected(rate.error());
  if (*rate <= 0) return std::unexpected(sampling_is_off(inputs, "sampled objects", *rate));
  SampledObjects result;
  Sites sites(inputs, result);
  uint64_t unread = 0;
  for (const Special& special : specials) {
    if (special.kind != SpecialKind::profile) continue;
    const auto bucket =
        Record(inputs.dump.memory, inputs.process.layout, special.address).pointer(Field::specialprofile_b);
    const uint32_t site = bucket ? sites.at(*bucket) : kNoSite;
    if (site == kNoSite)
      ++unread;
    else
      result.samples.push_back({special.object.begin, site});
  }
  if (unread > 0)
    diagnostics.add("go_sample_unread", "sampled objects of which the core does not say where they were allocated",
                    unread);
  if (result.samples.empty() && unread > 0)
    return fail("{}: no sampled objects: of {} the core does not say where they were allocated", inputs.dump.path,
                unread);
  if (result.samples.empty())
    return fail(
        "{}: no sampled objects: Go takes one sample per {} bytes allocated (runtime.MemProfileRate), and of what is "
        "on the heap it took none",
        inputs.dump.path, *rate);
  sites.compare(diagnostics);
  std::ranges::sort(result.samples, {}, &SampledObjects::Sample::object);
  result.frames.period_type = {"space", "bytes"};
  result.frames.period = *rate;
  result.estimate = [rate = *rate, method = exp_method(inputs)](uint64_t objects, uint64_t bytes) {
    return scale_sample(static_cast<int64_t>(objects), static_cast<int64_t>(bytes), rate, method);
  };
  return result;
}

}  // namespace heapwalk::go
