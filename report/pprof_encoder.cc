#include "report/pprof_encoder.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

#include <fmt/format.h>
#include <zlib.h>

#include "proto/profile.pb.h"
#include "report/escape.h"

namespace heapwalk {
namespace {

namespace pb = perftools::profiles;

constexpr size_t kMaxNameBytes = 4096;
constexpr int64_t kNanosPerSecond = 1'000'000'000;

// A name no longer than kMaxNameBytes; what is cut off is replaced by its hash (FNV-1a), so that names stay different.
std::string bounded_name(std::string_view name) {
  if (name.size() <= kMaxNameBytes) return valid_utf8(name);
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  size_t end = kMaxNameBytes - 64;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;
  return valid_utf8(name.substr(0, end)) + fmt::format("…#{:016x}", hash);
}

// By ids: names that looked different may have become the same once they were repaired.
struct SampleKey {
  std::vector<uint64_t> locations;
  std::vector<std::tuple<int64_t, int64_t, int64_t, int64_t>> labels;  // key, text, number, unit
  auto operator<=>(const SampleKey&) const = default;
};

}  // namespace

struct ProfileEncoder::Tables {
  pb::Profile profile;
  std::unordered_map<std::string, int64_t> texts;
  std::map<std::tuple<int64_t, int64_t, int64_t>, uint64_t> functions;
  std::map<std::tuple<std::vector<Line>, uint64_t, uint64_t>, uint64_t> locations;
  std::map<SampleKey, int> samples;
};

ProfileEncoder::ProfileEncoder() : tables_(std::make_unique<Tables>()) {
  text("");
}

ProfileEncoder::~ProfileEncoder() = default;

int64_t ProfileEncoder::text(std::string_view raw) {
  pb::Profile& profile = tables_->profile;
  auto [at, is_new] = tables_->texts.try_emplace(bounded_name(raw), profile.string_table_size());
  if (is_new) profile.add_string_table(at->first);
  return at->second;
}

void ProfileEncoder::add_sample_type(std::string_view type, std::string_view unit) {
  pb::ValueType& to = *tables_->profile.add_sample_type();
  to.set_type(text(type));
  to.set_unit(text(unit));
}

void ProfileEncoder::set_default_sample_type(std::string_view type) {
  tables_->profile.set_default_sample_type(text(type));
}

void ProfileEncoder::set_period(std::string_view type, std::string_view unit, int64_t period) {
  pb::ValueType& to = *tables_->profile.mutable_period_type();
  to.set_type(text(type));
  to.set_unit(text(unit));
  tables_->profile.set_period(period);
}

void ProfileEncoder::set_time(int64_t seconds) {
  tables_->profile.set_time_nanos(std::clamp<int64_t>(seconds, 0, INT64_MAX / kNanosPerSecond) * kNanosPerSecond);
}

void ProfileEncoder::add_comment(std::string_view comment) {
  tables_->profile.add_comment(text(comment));
}

uint64_t ProfileEncoder::add_mapping(const Mapping& mapping) {
  pb::Mapping& to = *tables_->profile.add_mapping();
  to.set_id(static_cast<uint64_t>(tables_->profile.mapping_size()));
  to.set_memory_start(mapping.range.begin.value);
  to.set_memory_limit(mapping.range.end.value);
  to.set_file_offset(mapping.file_offset);
  to.set_filename(text(mapping.file));
  to.set_build_id(text(mapping.build_id));
  to.set_has_functions(mapping.has_symbols);
  to.set_has_filenames(mapping.has_symbols);
  to.set_has_line_numbers(mapping.has_symbols);
  to.set_has_inline_frames(mapping.has_symbols);
  return to.id();
}

uint64_t ProfileEncoder::function(std::string_view name, std::string_view file, int64_t start_line) {
  const auto key = std::tuple(text(name), text(file), start_line);
  const auto [known, is_new] = tables_->functions.try_emplace(key, tables_->functions.size() + 1);
  if (is_new) {
    pb::Function& to = *tables_->profile.add_function();
    to.set_id(known->second);
    to.set_name(std::get<0>(key));
    to.set_filename(std::get<1>(key));
    to.set_start_line(start_line);
  }
  return known->second;
}

uint64_t ProfileEncoder::location(std::span<const Line> lines, Address address, uint64_t mapping) {
  const auto [known, is_new] = tables_->locations.try_emplace(
      {std::vector<Line>(lines.begin(), lines.end()), address.value, mapping}, tables_->locations.size() + 1);
  if (is_new) {
    pb::Location& to = *tables_->profile.add_location();
    to.set_id(known->second);
    to.set_address(address.value);
    to.set_mapping_id(mapping);
    for (const Line& line : lines) {
      pb::Line& to_line = *to.add_line();
      to_line.set_function_id(line.function);
      to_line.set_line(line.line);
    }
  }
  return known->second;
}

void ProfileEncoder::add_sample(std::span<const uint64_t> locations, std::span<const Label> labels, size_t first_value,
                                std::span<const int64_t> values) {
  pb::Profile& profile = tables_->profile;
  SampleKey key;
  key.locations.assign(locations.begin(), locations.end());
  for (const Label& label : labels)
    key.labels.emplace_back(text(label.key), text(label.text), label.number, text(label.unit));
  const auto [known, is_new] = tables_->samples.try_emplace(std::move(key), profile.sample_size());
  pb::Sample& to = is_new ? *profile.add_sample() : *profile.mutable_sample(known->second);
  if (is_new) {
    for (uint64_t id : locations) to.add_location_id(id);
    for (int i = 0; i < profile.sample_type_size(); ++i) to.add_value(0);
    for (const auto& [label_key, label_text, number, unit] : known->first.labels) {
      pb::Label& label = *to.add_label();
      label.set_key(label_key);
      label.set_str(label_text);
      label.set_num(number);
      label.set_num_unit(unit);
    }
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const int at = static_cast<int>(first_value + i);
    const auto sum = static_cast<uint64_t>(to.value(at)) + static_cast<uint64_t>(values[i]);  // may wrap, not overflow
    to.set_value(at, static_cast<int64_t>(sum));
  }
}

void ProfileEncoder::close_samples() {
  tables_->samples.clear();
}

std::string ProfileEncoder::serialize() const {
  return tables_->profile.SerializeAsString();
}

std::string gzip(const std::string& bytes) {
  constexpr int kGzipWindow = 15 + 16;  // the largest window, in gzip's framing; the header's time stays 0
  z_stream stream{};
  std::string result;
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  result.resize(deflateBound(&stream, bytes.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  int status = deflate(&stream, Z_FINISH);
  result.resize(status == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return result;
}

}  // namespace heapwalk
