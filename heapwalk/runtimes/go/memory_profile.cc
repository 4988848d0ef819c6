// The memory profile: sampled allocations and what of them is not freed, by stack.
//
// Allocations come at once, frees come while the collector sweeps. So that a profile does not show what only nobody looked at
// yet as in use, events are counted for a collection that is still to come, and published when all of its frees are in:
//
//     memRecord { active, future[3] }     allocation ─► future[(cycle + 2) % 3]     free ─► future[(cycle + 1) % 3]
//                                         published:    active += future[cycle % 3]
//
// The profile is `active` with the current cycle added, or all of it when no collection has published anything yet.
#include <cmath>

#include "heapwalk/runtimes/go/call_stacks.h"
#include "heapwalk/runtimes/go/profile_buckets.h"
#include "heapwalk/runtimes/go/profiles.h"
#include "heapwalk/runtimes/go/record.h"
#include "heapwalk/runtimes/go/sample_scale.h"

namespace heapwalk::go {
namespace {

constexpr uint32_t kCycles = 3;

struct Counts {
  uint64_t allocations = 0, frees = 0, allocated_bytes = 0, freed_bytes = 0;

  void add(const Counts& other) {
    allocations += other.allocations;
    frees += other.frees;
    allocated_bytes += other.allocated_bytes;
    freed_bytes += other.freed_bytes;
  }
};

struct CountedBucket {
  Bucket bucket;
  Counts active;
  Counts future[kCycles];
};

// Since Go 1.27 bytes are not counted: all objects of a bucket have one size.
std::optional<Counts> read_counts(const Record& record, uint64_t size_bytes) {
  const auto allocations = record.word(Field::memRecordCycle_allocs), frees = record.word(Field::memRecordCycle_frees);
  if (!allocations || !frees) return std::nullopt;
  if (!record.has(Field::memRecordCycle_alloc_bytes))
    return Counts{*allocations, *frees, *allocations * size_bytes, *frees * size_bytes};
  const auto allocated_bytes = record.word(Field::memRecordCycle_alloc_bytes);
  const auto freed_bytes = record.word(Field::memRecordCycle_free_bytes);
  if (!allocated_bytes || !freed_bytes) return std::nullopt;
  return Counts{*allocations, *frees, *allocated_bytes, *freed_bytes};
}

std::optional<CountedBucket> count(const ProfileInputs& inputs, Bucket bucket) {
  const Layout& layout = inputs.process.layout;
  const uint64_t stride = layout.offset(Field::memRecordCycle_size);
  auto counts_at = [&](Address at) { return read_counts(Record(inputs.dump.memory, layout, at), bucket.size_bytes); };
  const auto active = counts_at(bucket.record + layout.offset(Field::memRecord_active));
  if (!active) return std::nullopt;
  CountedBucket result{{}, *active, {}};
  for (uint32_t i = 0; i < kCycles; ++i) {
    const auto future = counts_at(bucket.record + layout.offset(Field::memRecord_future) + i * stride);
    if (!future) return std::nullopt;
    result.future[i] = *future;
  }
  result.bucket = std::move(bucket);
  return result;
}

// What is published, and what the run-time would publish before it writes a profile.
void publish(std::vector<CountedBucket>& buckets, uint32_t cycle) {
  bool nothing = true;
  for (CountedBucket& bucket : buckets) {
    bucket.active.add(bucket.future[cycle % kCycles]);
    bucket.future[cycle % kCycles] = {};
    nothing = nothing && bucket.active.allocations == 0 && bucket.active.frees == 0;
  }
  if (!nothing) return;
  for (CountedBucket& bucket : buckets)
    for (const Counts& future : bucket.future) bucket.active.add(future);
}

bool is_runtime_function(std::string_view name, int release) {
  return name.starts_with("runtime.") || (release >= 24 && name.starts_with("internal/runtime/"));
}

// Without the run-time's own frames at the inner end, unless nothing else is there.
std::vector<uint32_t> visible_locations(CallStacks& stacks, std::span<const uint64_t> stack, int release) {
  size_t hidden = 0;
  while (hidden < stack.size() && is_runtime_function(stacks.function_at(stack[hidden]), release)) ++hidden;
  if (hidden == stack.size()) hidden = 0;
  auto locations = stacks.locations(stack.subspan(hidden));
  return locations.empty() ? stacks.locations(stack) : locations;
}

// Of the CPU that the program ran on. `math.useFMA` is there when anything uses math.Exp.
ExpMethod exp_method(const ProfileInputs& inputs) {
  if (inputs.dump.process.architecture != Architecture::x86_64) return ExpMethod::library;
  const auto flag = inputs.process.variable("math.useFMA");
  const auto fused = flag ? inputs.dump.memory.read<uint8_t>(*flag) : std::nullopt;
  return fused == 0 ? ExpMethod::plain : ExpMethod::fused;
}

Result<int64_t> sampling_rate(const ProfileInputs& inputs) {
  const AddressSpace& memory = inputs.dump.memory;
  const auto variable = find_variable(inputs, "runtime.MemProfileRate");
  if (!variable) return std::unexpected(variable.error());
  const auto rate = memory.read<int64_t>(*variable);
  if (!rate) return fail("{}: runtime.MemProfileRate is not in the core", inputs.dump.path);
  if (*rate > 0) return *rate;
  const auto disabled = inputs.process.variable("runtime.disableMemoryProfiling");
  if (disabled && memory.read<uint8_t>(*disabled).value_or(0) != 0)
    return fail(
        "{}: no heap profile: the linker switched it off, as nothing in the program can ask for it "
        "(link net/http/pprof or runtime/pprof in, or call runtime.MemProfile)",
        inputs.dump.path);
  return fail("{}: no heap profile: the program set runtime.MemProfileRate to {}", inputs.dump.path, *rate);
}

}  // namespace

Result<OwnProfile> read_memory_profile(const ProfileInputs& inputs, bool allocations_first, Diagnostics& diagnostics) {
  const auto rate = sampling_rate(inputs);
  const auto head = find_variable(inputs, "runtime.mbuckets"), cycle = find_variable(inputs, "runtime.mProfCycle");
  if (!rate) return std::unexpected(rate.error());
  if (!head) return std::unexpected(head.error());
  if (!cycle) return std::unexpected(cycle.error());
  const auto cycle_bits =
      Record(inputs.dump.memory, inputs.process.layout, *cycle).read<uint32_t>(Field::mProfCycleHolder_value);
  if (!cycle_bits) return fail("{}: runtime.mProfCycle is not in the core", inputs.dump.path);

  std::vector<CountedBucket> buckets;
  for (Bucket& bucket : read_buckets(inputs, *head, BucketType::memory, diagnostics)) {
    auto counted = count(inputs, std::move(bucket));
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
    const Counts& counts = counted.active;
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
