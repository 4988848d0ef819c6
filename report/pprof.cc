#include "report/pprof.h"

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

class ProfileBuilder {
 public:
  explicit ProfileBuilder(const ProfileFacts& facts) {
    text("");
    add_sample_type("inuse_objects", "count");
    add_sample_type("inuse_space", "bytes");
    add_sample_type("path_objects", "count");
    add_sample_type("path_space", "bytes");
    profile_.set_default_sample_type(text("inuse_space"));
    profile_.mutable_period_type()->set_type(text("space"));
    profile_.mutable_period_type()->set_unit(text("bytes"));
    profile_.set_period(1);
    profile_.set_time_nanos(std::clamp<int64_t>(facts.time_seconds, 0, INT64_MAX / kNanosPerSecond) * kNanosPerSecond);
    add_mapping(facts);
  }

  void add_view(const ProfileStacks& stacks, const std::vector<ProfileSample>& samples, int first_value) {
    known_samples_.clear();
    for (const ProfileSample& sample : samples) {
      SampleKey key;
      for (uint32_t frame : sample.frames) key.locations.push_back(location(stacks.frames[frame]));
      key.labels = {sample.labels.root_kind, sample.labels.allocator, sample.labels.thread};
      key.size_class = sample.labels.size_class_bytes;
      pb::Sample& to = sample_for(std::move(key), sample.labels);
      to.set_value(first_value, to.value(first_value) + as_value(sample.objects));
      to.set_value(first_value + 1, to.value(first_value + 1) + as_value(sample.bytes));
    }
  }

  std::string serialize() const { return profile_.SerializeAsString(); }

 private:
  struct SampleKey {
    std::vector<uint64_t> locations;
    std::tuple<std::string, std::string, std::string> labels;
    uint64_t size_class = 0;
    auto operator<=>(const SampleKey&) const = default;
  };

  static int64_t as_value(uint64_t value) { return static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX)); }

  int64_t text(std::string_view raw) {
    auto [at, is_new] = texts_.try_emplace(bounded_name(raw), profile_.string_table_size());
    if (is_new) profile_.add_string_table(at->first);
    return at->second;
  }

  void add_sample_type(std::string_view type, std::string_view unit) {
    pb::ValueType& to = *profile_.add_sample_type();
    to.set_type(text(type));
    to.set_unit(text(unit));
  }

  void add_mapping(const ProfileFacts& facts) {
    pb::Mapping& mapping = *profile_.add_mapping();
    mapping.set_id(1);
    mapping.set_memory_start(facts.mapping.begin.value);
    mapping.set_memory_limit(facts.mapping.end.value);
    mapping.set_filename(text(facts.binary));
    mapping.set_build_id(text(facts.build_id));
    mapping.set_has_functions(true);
    mapping.set_has_filenames(true);
    mapping.set_has_line_numbers(true);
    mapping.set_has_inline_frames(true);
  }

  // Functions are one per name, file and first line; a location is a function and the line that leads onward.
  uint64_t location(const ProfileFrame& frame) {
    auto function_key = std::tuple(text(frame.name), text(frame.filename), frame.start_line);
    auto [function, is_new] = functions_.try_emplace(function_key, functions_.size() + 1);
    if (is_new) {
      pb::Function& to = *profile_.add_function();
      to.set_id(function->second);
      to.set_name(std::get<0>(function_key));
      to.set_filename(std::get<1>(function_key));
      to.set_start_line(frame.start_line);
    }
    auto [place, is_first] = locations_.try_emplace(std::pair(function->second, frame.line), locations_.size() + 1);
    if (is_first) {
      pb::Location& to = *profile_.add_location();
      to.set_id(place->second);
      pb::Line& line = *to.add_line();
      line.set_function_id(function->second);
      line.set_line(frame.line);
    }
    return place->second;
  }

  // Frames that looked different may have become the same once their names were repaired.
  pb::Sample& sample_for(SampleKey key, const ProfileLabels& labels) {
    auto [at, is_new] = known_samples_.try_emplace(std::move(key), profile_.sample_size());
    if (!is_new) return *profile_.mutable_sample(at->second);
    pb::Sample& to = *profile_.add_sample();
    for (uint64_t id : at->first.locations) to.add_location_id(id);
    for (int i = 0; i < profile_.sample_type_size(); ++i) to.add_value(0);
    add_label(to, "root_kind", labels.root_kind);
    add_label(to, "allocator", labels.allocator);
    add_label(to, "thread", labels.thread);
    if (labels.size_class_bytes != 0) {
      pb::Label& label = *to.add_label();
      label.set_key(text("bytes"));
      label.set_num(as_value(labels.size_class_bytes));
      label.set_num_unit(text("bytes"));
    }
    return to;
  }

  void add_label(pb::Sample& sample, std::string_view key, const std::string& value) {
    if (value.empty()) return;
    pb::Label& label = *sample.add_label();
    label.set_key(text(key));
    label.set_str(text(value));
  }

  pb::Profile profile_;
  std::unordered_map<std::string, int64_t> texts_;
  std::map<std::tuple<int64_t, int64_t, int64_t>, uint64_t> functions_;
  std::map<std::pair<uint64_t, int64_t>, uint64_t> locations_;
  std::map<SampleKey, int> known_samples_;
};

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
  ProfileBuilder builder(facts);
  builder.add_view(stacks, stacks.by_dominator, 0);
  builder.add_view(stacks, stacks.by_path, 2);
  return builder.serialize();
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
