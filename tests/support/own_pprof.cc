#include "tests/support/own_pprof.h"

#include <google/protobuf/io/gzip_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>

#include <fmt/format.h>

namespace heapwalk::test {

DecodedProfile decode_profile(const std::string& file) {
  DecodedProfile result;
  google::protobuf::io::ArrayInputStream bytes(file.data(), static_cast<int>(file.size()));
  google::protobuf::io::GzipInputStream unpacked(&bytes);
  if (file.empty() || !result.profile.ParseFromZeroCopyStream(&unpacked))
    result.error = fmt::format("no profile in {} bytes", file.size());
  return result;
}

std::vector<std::string> DecodedProfile::sample_types() const {
  std::vector<std::string> result;
  for (const auto& type : profile.sample_type()) result.push_back(text(type.type()) + "/" + text(type.unit()));
  return result;
}

std::string DecodedProfile::period_type() const {
  return fmt::format("{} {}/{}", profile.period(), text(profile.period_type().type()),
                     text(profile.period_type().unit()));
}

std::map<std::string, std::vector<int64_t>> DecodedProfile::by_stack(std::string_view without_label) const {
  std::map<uint64_t, const perftools::profiles::Location*> locations;
  std::map<uint64_t, const perftools::profiles::Function*> functions;
  for (const auto& location : profile.location()) locations[location.id()] = &location;
  for (const auto& function : profile.function()) functions[function.id()] = &function;
  std::map<std::string, std::vector<int64_t>> result;
  for (const auto& sample : profile.sample()) {
    std::string key;
    for (uint64_t id : sample.location_id()) {
      const auto& location = *locations.at(id);
      key += fmt::format("{:#x}", location.address());
      for (const auto& line : location.line()) {
        const auto& function = *functions.at(line.function_id());
        key += fmt::format(" {} {}:{} ({})", text(function.name()), text(function.filename()), line.line(),
                           function.start_line());
      }
      key += "\n";
    }
    std::vector<std::string> labels;
    for (const auto& label : sample.label())
      if (text(label.key()) != without_label)
        labels.push_back(fmt::format("[{}={}{}]\n", text(label.key()), text(label.str()),
                                     label.str() != 0 ? "" : std::to_string(label.num())));
    std::ranges::sort(labels);
    for (const std::string& label : labels) key += label;
    std::vector<int64_t>& values = result[key];
    values.resize(static_cast<size_t>(sample.value_size()));
    for (int i = 0; i < sample.value_size(); ++i) values[static_cast<size_t>(i)] += sample.value(i);
  }
  return result;
}

std::vector<int64_t> DecodedProfile::totals() const {
  std::vector<int64_t> sums(static_cast<size_t>(profile.sample_type_size()));
  for (const auto& sample : profile.sample())
    for (int i = 0; i < sample.value_size(); ++i) sums[static_cast<size_t>(i)] += sample.value(i);
  return sums;
}

}  // namespace heapwalk::test
