// Where goroutines waited for each other: in the block profile by who waited, in the mutex profile by who made others wait.
//
//     blockRecord { count float64, cycles int64 }     cycles of the CPU's time-stamp counter
//
// Counts are estimates already, except for mutexes in Go 1.19. How fast the counter runs the run-time measures when it is first
// asked (runtime.ticks): by SetBlockProfileRate with a rate other than 1, or by the first of these profiles that is
// written. Where that never happened a core cannot know it, and the delays stay in cycles.
#include <algorithm>
#include <cmath>

#include "heapwalk/runtimes/go/profiles/profile_buckets.h"
#include "heapwalk/runtimes/go/profiles/profiles.h"
#include "heapwalk/runtimes/go/program/record.h"
#include "heapwalk/runtimes/go/stacks/call_stacks.h"

namespace heapwalk::go {
namespace {

int64_t truncated(double value) {
  return std::abs(value) < 0x1p63 ? static_cast<int64_t>(value) : std::numeric_limits<int64_t>::min();
}

Result<uint64_t> sampling_rate(const ProfileInputs& inputs, bool of_mutexes) {
  const auto variable = find_variable(inputs, of_mutexes ? "runtime.mutexprofilerate" : "runtime.blockprofilerate");
  if (!variable) return std::unexpected(variable.error());
  const auto rate = inputs.dump.memory.read_word(*variable);
  if (!rate) return fail("{}: the rate of the profile is not in the core", inputs.dump.path);
  return *rate;
}

// Cycles per second; 0: never measured.
int64_t clock_rate(const ProfileInputs& inputs) {
  const auto ticks = inputs.process.variable("runtime.ticks");
  if (!ticks) return 0;
  const Record record(inputs.dump.memory, inputs.process.layout, *ticks);
  return std::max<int64_t>(record.read<int64_t>(Field::ticksType_val).value_or(0), 0);
}

}  // namespace

Result<OwnProfile> read_contention_profile(const ProfileInputs& inputs, bool of_mutexes, Diagnostics& diagnostics) {
  const auto rate = sampling_rate(inputs, of_mutexes);
  const auto head = find_variable(inputs, of_mutexes ? "runtime.xbuckets" : "runtime.bbuckets");
  if (!rate) return std::unexpected(rate.error());
  if (!head) return std::unexpected(head.error());
  const BucketType type = of_mutexes ? BucketType::mutex : BucketType::block;
  const std::vector<Bucket> buckets = read_buckets(inputs, *head, type, diagnostics);
  if (buckets.empty() && *rate == 0)
    return fail("{}: no {} profile: the program never called runtime.{}", inputs.dump.path,
                of_mutexes ? "mutex" : "block", of_mutexes ? "SetMutexProfileFraction" : "SetBlockProfileRate");

  OwnProfile profile;
  const int64_t clock = clock_rate(inputs);
  profile.sample_types = {{"contentions", "count"}, {"delay", clock != 0 ? "nanoseconds" : "cycles"}};
  profile.period_type = {"contentions", "count"};
  if (clock == 0 && !buckets.empty())
    diagnostics.add(
        "go_clock_unknown",
        "the program had not measured yet how fast the CPU's time-stamp counter runs: delays are in its cycles");
  const double cycles_per_ns = clock == 0 ? 1 : static_cast<double>(clock) / 1e9;
  const int release = inputs.process.layout.minor();
  const uint64_t factor = of_mutexes && release < 20 ? *rate : 1;
  StackRules rules;
  if (release >= 23) rules = {profile_stack_depth(inputs), true};
  CallStacks stacks(inputs.functions, profile);
  for (const Bucket& bucket : buckets) {
    const Record record(inputs.dump.memory, inputs.process.layout, bucket.record);
    const auto count = record.read<double>(Field::blockRecord_count);
    const auto cycles = record.read<int64_t>(Field::blockRecord_cycles);
    if (!count || !cycles) {
      diagnostics.add("go_profile_bucket_unread", "buckets of the profile whose counts are not in the core");
      continue;
    }
    int64_t events = truncated(*count);
    if (events == 0 && !of_mutexes) events = 1;
    const double delay = static_cast<double>(*cycles) / cycles_per_ns;
    const std::vector<int64_t> values{static_cast<int64_t>(static_cast<uint64_t>(events) * factor),
                                      truncated(delay * static_cast<double>(factor))};
    profile.samples.push_back({stacks.locations(bucket.stack, rules), values, {}});
  }
  return profile;
}

}  // namespace heapwalk::go
