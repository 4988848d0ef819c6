#include "report/own_profile.h"

#include <algorithm>

#include <fmt/format.h>

#include "report/pprof_encoder.h"

namespace heapwalk {
namespace {

// The mappings with code, the program's own first: readers take the first one for the program.
class CodeMappings {
 public:
  CodeMappings(const OwnProfile& profile, const CoreDump& dump, ProfileEncoder& encoder) {
    const Module* program = dump.executable();
    for (const Mapping& mapping : dump.mappings)
      if (mapping.executable && !mapping.path.empty()) mappings_.push_back({&mapping, 0});
    std::ranges::stable_partition(mappings_, [&](const Known& known) {
      return program != nullptr && program->range.contains(known.mapping->range.begin);
    });
    std::vector<bool> has_unknown(mappings_.size(), false);
    for (const OwnProfile::Location& location : profile.locations)
      if (Known* known = find(location.address); known != nullptr && location.lines.empty())
        has_unknown[static_cast<size_t>(known - mappings_.data())] = true;
    for (size_t i = 0; i < mappings_.size(); ++i) {
      const Mapping& mapping = *mappings_[i].mapping;
      const Module* module = dump.find_module(mapping.range.begin);
      mappings_[i].id = encoder.add_mapping({.range = mapping.range,
                                             .file_offset = mapping.file_offset,
                                             .file = mapping.path,
                                             .build_id = module == nullptr ? std::string_view{} : module->build_id,
                                             .has_symbols = !has_unknown[i]});
    }
  }

  uint64_t id_at(Address address) {
    const Known* known = find(address);
    return known == nullptr ? 0 : known->id;
  }

 private:
  struct Known {
    const Mapping* mapping = nullptr;
    uint64_t id = 0;
  };
  Known* find(Address address) {
    const auto at =
        std::ranges::find_if(mappings_, [&](const Known& known) { return known.mapping->range.contains(address); });
    return at == mappings_.end() ? nullptr : &*at;
  }
  std::vector<Known> mappings_;
};

std::vector<uint64_t> add_locations(const OwnProfile& profile, CodeMappings& mappings, ProfileEncoder& encoder) {
  std::vector<uint64_t> ids;
  for (const OwnProfile::Location& location : profile.locations) {
    std::vector<ProfileEncoder::Line> lines;
    for (const OwnProfile::Line& line : location.lines) {
      const OwnProfile::Function& function = profile.functions[line.function];
      lines.push_back({encoder.function(function.name, function.file, function.start_line), line.line});
    }
    ids.push_back(encoder.location(lines, location.address, mappings.id_at(location.address)));
  }
  return ids;
}

}  // namespace

std::string make_own_profile(const OwnProfile& profile, const CoreDump& dump, int64_t time_seconds,
                             const Diagnostics& diagnostics) {
  ProfileEncoder encoder;
  for (const OwnProfile::ValueType& type : profile.sample_types) encoder.add_sample_type(type.type, type.unit);
  if (!profile.default_sample_type.empty()) encoder.set_default_sample_type(profile.default_sample_type);
  encoder.set_period(profile.period_type.type, profile.period_type.unit, profile.period);
  encoder.set_time(time_seconds);
  for (const Diagnostic& diagnostic : diagnostics.all())
    encoder.add_comment(diagnostic.count > 1 ? fmt::format("{} ({} times)", diagnostic.text, diagnostic.count)
                                             : diagnostic.text);
  CodeMappings mappings(profile, dump, encoder);
  const std::vector<uint64_t> ids = add_locations(profile, mappings, encoder);
  std::vector<uint64_t> locations;
  std::vector<ProfileEncoder::Label> labels;
  for (const OwnProfile::Sample& sample : profile.samples) {
    locations.clear();
    labels.clear();
    for (uint32_t location : sample.locations) locations.push_back(ids[location]);
    for (const OwnProfile::Label& label : sample.labels) labels.push_back({label.key, label.text, label.number});
    encoder.add_sample(locations, labels, 0, sample.values);
  }
  return gzip(encoder.serialize());
}

}  // namespace heapwalk
