#include "report/pprof.h"

#include <algorithm>
#include <array>

#include "report/pprof_encoder.h"

namespace heapwalk {
namespace {

void add_header(ProfileEncoder& encoder, const ProfileFacts& facts) {
  encoder.add_sample_type("inuse_objects", "count");
  encoder.add_sample_type("inuse_space", "bytes");
  encoder.add_sample_type("path_objects", "count");
  encoder.add_sample_type("path_space", "bytes");
  encoder.set_default_sample_type("inuse_space");
  encoder.set_period("space", "bytes", 1);
  encoder.set_time(facts.time_seconds);
  encoder.add_mapping({.range = facts.mapping, .file = facts.binary, .build_id = facts.build_id});
}

int64_t as_value(uint64_t value) {
  return static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX));
}

// Functions are one per name, file and first line; a location is a function and the line that leads onward.
uint64_t location(ProfileEncoder& encoder, const ProfileFrame& frame) {
  const ProfileEncoder::Line line{encoder.function(frame.name, frame.filename, frame.start_line), frame.line};
  return encoder.location({&line, 1});
}

void add_view(ProfileEncoder& encoder, const ProfileStacks& stacks, const std::vector<ProfileSample>& samples,
              size_t first_value) {
  encoder.close_samples();
  for (const ProfileSample& sample : samples) {
    std::vector<uint64_t> locations;
    locations.reserve(sample.frames.size());
    for (uint32_t frame : sample.frames) locations.push_back(location(encoder, stacks.frames[frame]));
    std::vector<ProfileEncoder::Label> labels;
    auto add_label = [&](std::string_view key, std::string_view text) {
      if (!text.empty()) labels.push_back({key, text});
    };
    add_label("root_kind", sample.labels.root_kind);
    add_label("allocator", sample.labels.allocator);
    add_label("thread", sample.labels.thread);
    if (sample.labels.size_class_bytes != 0)
      labels.push_back({"bytes", {}, as_value(sample.labels.size_class_bytes), "bytes"});
    const std::array values{as_value(sample.objects), as_value(sample.bytes)};
    encoder.add_sample(locations, labels, first_value, values);
  }
}

}  // namespace

ProfileFacts profile_facts(const CoreDump& dump) {
  ProfileFacts facts;
  facts.binary = dump.process.command;
  facts.time_seconds = dump.process.time_seconds;
  if (const Module* program = dump.executable()) {
    facts.binary = program->path;
    facts.build_id = program->build_id;
    facts.mapping = program->range;
  }
  return facts;
}

std::string encode_profile(const ProfileStacks& stacks, const ProfileFacts& facts) {
  ProfileEncoder encoder;
  add_header(encoder, facts);
  add_view(encoder, stacks, stacks.by_dominator, 0);
  add_view(encoder, stacks, stacks.by_path, 2);
  return encoder.serialize();
}

std::string make_profile(const FoldedStacks& stacks, const ProfileFacts& facts, const ProfileLimits& limits) {
  size_t samples = std::max<size_t>(limits.max_samples, 2);
  while (true) {
    ProfileStacks taken = stacks.take(samples);
    std::string bytes = encode_profile(taken, facts);
    if (bytes.size() <= limits.max_bytes || samples <= 2) return gzip(bytes);
    samples = std::min(samples, taken.by_dominator.size() + taken.by_path.size());
    double share = static_cast<double>(limits.max_bytes) / static_cast<double>(bytes.size());
    samples = std::max<size_t>(2, static_cast<size_t>(static_cast<double>(samples) * std::min(0.9, share * 0.95)));
  }
}

}  // namespace heapwalk
