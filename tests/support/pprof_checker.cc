#include "tests/support/pprof_checker.h"

#include <fmt/format.h>
#include <zlib.h>

#include <regex>
#include <set>

namespace heapwalk::test {
namespace {

namespace pb = perftools::profiles;

constexpr int kMaxSamples = 16'000;
constexpr size_t kMaxBytes = 4 << 20;

class Checker {
 public:
  explicit Checker(CheckedProfile& result) : result_(result), profile_(result.profile) {}

  void check(std::string_view file) {
    if (!unpack(file)) return;
    if (!profile_.ParseFromString(result_.bytes)) return violation("not a profile message, or text that is no UTF-8");
    if (profile_.SerializeAsString() != result_.bytes)
      violation("fields that are not in the schema, or not in its order");
    check_strings();
    if (!result_.violations.empty()) return;  // the rest reads strings
    check_header();
    check_tables();
    if (!result_.violations.empty()) return;  // samples refer to tables
    check_samples();
  }

 private:
  template <class... Args>
  void violation(fmt::format_string<Args...> format, Args&&... args) {
    if (result_.violations.size() < 20) result_.violations.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  const std::string& text(int64_t index) const { return profile_.string_table(static_cast<int>(index)); }

  bool unpack(std::string_view file) {
    constexpr std::string_view kHeader("\x1f\x8b\x08\0\0\0\0\0", 8);  // deflate, no flags, time 0
    if (!file.starts_with(kHeader)) {
      violation("gzip header with flags or a time");
      return false;
    }
    z_stream stream{};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) return false;
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(file.data()));
    stream.avail_in = static_cast<uInt>(file.size());
    int status = Z_OK;
    while (status == Z_OK) {
      char block[65536];
      stream.next_out = reinterpret_cast<Bytef*>(block);
      stream.avail_out = sizeof block;
      status = inflate(&stream, Z_NO_FLUSH);
      result_.bytes.append(block, sizeof block - stream.avail_out);
    }
    if (status != Z_STREAM_END) violation("gzip data is truncated or broken");
    if (stream.avail_in != 0) violation("{} bytes after the first gzip member", stream.avail_in);
    inflateEnd(&stream);
    if (result_.bytes.size() > kMaxBytes) violation("{} bytes uncompressed", result_.bytes.size());
    return result_.violations.empty();
  }

  void check_index(int64_t index, const char* what) {
    if (index < 0 || index >= profile_.string_table_size()) violation("{}: string index {} out of range", what, index);
  }

  void check_strings() {
    if (profile_.string_table_size() == 0 || !profile_.string_table(0).empty())
      violation("string_table[0] is not empty");
    std::set<std::string> seen;
    for (const std::string& s : profile_.string_table()) {
      if (!seen.insert(s).second) violation("string twice in the table: {}", s);
    }
    check_index(profile_.default_sample_type(), "default_sample_type");
    for (const auto& type : profile_.sample_type()) {
      check_index(type.type(), "sample_type");
      check_index(type.unit(), "sample_type unit");
    }
    check_index(profile_.period_type().type(), "period_type");
    check_index(profile_.period_type().unit(), "period_type unit");
    for (const auto& mapping : profile_.mapping()) {
      check_index(mapping.filename(), "mapping");
      check_index(mapping.build_id(), "build id");
    }
    for (const auto& function : profile_.function()) {
      check_index(function.name(), "function");
      check_index(function.filename(), "function file");
    }
    for (const auto& sample : profile_.sample()) {
      for (const auto& label : sample.label()) {
        check_index(label.key(), "label");
        check_index(label.str(), "label text");
        check_index(label.num_unit(), "label unit");
      }
    }
  }

  void check_header() {
    constexpr std::pair<const char*, const char*> kTypes[] = {
        {"inuse_objects", "count"}, {"inuse_space", "bytes"}, {"path_objects", "count"}, {"path_space", "bytes"}};
    if (profile_.sample_type_size() != 4) return violation("{} sample types", profile_.sample_type_size());
    for (int i = 0; i < 4; ++i) {
      if (text(profile_.sample_type(i).type()) != kTypes[i].first ||
          text(profile_.sample_type(i).unit()) != kTypes[i].second)
        violation("sample type {} is {}/{}", i, text(profile_.sample_type(i).type()),
                  text(profile_.sample_type(i).unit()));
    }
    if (text(profile_.default_sample_type()) != "inuse_space") violation("default_sample_type");
    if (text(profile_.period_type().type()) != "space" || text(profile_.period_type().unit()) != "bytes" ||
        profile_.period() != 1)
      violation("period is not space/bytes 1");
    if (profile_.drop_frames() != 0 || profile_.keep_frames() != 0 || profile_.duration_nanos() != 0 ||
        profile_.comment_size() != 0 || profile_.doc_url() != 0)
      violation("a field is set that must not be: drop_frames, keep_frames, duration, comment or doc_url");
    if (profile_.time_nanos() % 1'000'000'000 != 0 || profile_.time_nanos() < 0)
      violation("time {}", profile_.time_nanos());
  }

  void check_tables() {
    if (profile_.mapping_size() != 1) return violation("{} mappings", profile_.mapping_size());
    const pb::Mapping& mapping = profile_.mapping(0);
    if (mapping.id() != 1 || !mapping.has_functions() || !mapping.has_filenames() || !mapping.has_line_numbers() ||
        !mapping.has_inline_frames())
      violation("the mapping must have id 1 and be symbolised in full");
    if (!std::regex_match(text(mapping.build_id()), std::regex("([0-9a-f]{2})*"))) violation("build id is not hex");
    std::set<std::tuple<std::string, std::string, int64_t>> functions;
    for (int i = 0; i < profile_.function_size(); ++i) {
      const pb::Function& function = profile_.function(i);
      if (function.id() != static_cast<uint64_t>(i) + 1) violation("function {} has id {}", i, function.id());
      if (function.system_name() != 0) violation("system_name of {}", text(function.name()));
      if (function.name() == 0) violation("function {} has no name", i);
      if (!functions.emplace(text(function.name()), text(function.filename()), function.start_line()).second)
        violation("function {} twice", text(function.name()));
    }
    std::set<std::pair<uint64_t, int64_t>> locations;
    for (int i = 0; i < profile_.location_size(); ++i) {
      const pb::Location& location = profile_.location(i);
      if (location.id() != static_cast<uint64_t>(i) + 1) violation("location {} has id {}", i, location.id());
      if (location.address() != 0 || location.mapping_id() != 0) violation("location {} has an address or mapping", i);
      if (location.line_size() != 1) return violation("location {} has {} lines", i, location.line_size());
      const pb::Line& line = location.line(0);
      if (line.function_id() < 1 || line.function_id() > static_cast<uint64_t>(profile_.function_size()))
        return violation("location {}: function id {}", i, line.function_id());
      if (!locations.emplace(line.function_id(), line.line()).second) violation("location {} is a duplicate", i);
    }
  }

  void check_samples() {
    if (profile_.sample_size() > kMaxSamples) violation("{} samples", profile_.sample_size());
    std::set<std::string> seen;
    for (const pb::Sample& sample : profile_.sample()) {
      if (sample.value_size() != 4) return violation("a sample with {} values", sample.value_size());
      bool first = sample.value(0) != 0 || sample.value(1) != 0;
      bool second = sample.value(2) != 0 || sample.value(3) != 0;
      if (first == second) violation("a sample must have values in exactly one pair");
      for (int i = 0; i < 4; ++i) {
        if (sample.value(i) < 0) violation("negative value");
        result_.totals[static_cast<size_t>(i)] += sample.value(i);
      }
      std::string stack = check_stack(sample);
      (first ? result_.by_dominator : result_.by_path)[stack] += first ? sample.value(1) : sample.value(3);
      if (!seen.insert((first ? "1 " : "2 ") + stack + check_labels(sample)).second)
        violation("sample twice: {}", stack);
    }
    if (result_.totals[0] != result_.totals[2] || result_.totals[1] != result_.totals[3])
      violation("the pairs have different totals: {} {} and {} {}", result_.totals[0], result_.totals[1],
                result_.totals[2], result_.totals[3]);
  }

  std::string check_stack(const pb::Sample& sample) {
    static const std::regex kRoot(
        R"(\((other)\)|\[(shared|register)\]|\[(global|static|tls|stack|mapping|handle|goroutine|unreachable)\] [^]+)");
    static const std::regex kRootWord(
        R"(\[(shared|register|global|static|tls|stack|mapping|handle|goroutine|unreachable)\][^]*)");
    static const std::regex kUnstable(R"((^|[^0-9A-Za-z])0x[0-9a-f]{4,}|thread [0-9]+)");
    if (sample.location_id_size() == 0) violation("a sample without a stack");
    std::string stack;
    std::set<std::string> names;
    for (int i = sample.location_id_size() - 1; i >= 0; --i) {
      uint64_t id = sample.location_id(i);
      if (id < 1 || id > static_cast<uint64_t>(profile_.location_size())) {
        violation("unknown location {}", id);
        continue;
      }
      const pb::Line& line = profile_.location(static_cast<int>(id - 1)).line(0);
      const std::string& name = text(profile_.function(static_cast<int>(line.function_id() - 1)).name());
      bool is_root = i == sample.location_id_size() - 1;
      if (is_root && !std::regex_match(name, kRoot)) violation("a stack's root frame is '{}'", name);
      if (!is_root && std::regex_match(name, kRootWord)) violation("root frame '{}' inside a stack", name);
      if (name == "(other)" && i != 0) violation("(other) is not the leaf");
      if (std::regex_search(name, kUnstable)) violation("'{}' has an address or a thread number", name);
      if (!names.insert(name).second) violation("'{}' repeats in a stack", name);
      stack += (stack.empty() ? "" : ";") + name;
    }
    return stack;
  }

  std::string check_labels(const pb::Sample& sample) {
    static const std::set<std::string> kKeys = {"root_kind", "allocator", "thread", "bytes"};
    std::string all;
    std::set<std::string> keys;
    for (const pb::Label& label : sample.label()) {
      const std::string& key = text(label.key());
      if (!kKeys.contains(key)) violation("label {}", key);
      if (!keys.insert(key).second) violation("label {} twice", key);
      bool is_number = key == "bytes";
      if (is_number &&
          (label.str() != 0 || text(label.num_unit()) != "bytes" || (label.num() & (label.num() - 1)) != 0))
        violation("label bytes is no size class");
      if (!is_number && (label.str() == 0 || label.num() != 0 || label.num_unit() != 0))
        violation("label {} is no text", key);
      all += fmt::format(" {}={}{}", key, label.num(), text(label.str()));
    }
    return all;
  }

  CheckedProfile& result_;
  pb::Profile& profile_;
};

}  // namespace

std::string CheckedProfile::violation_text() const {
  std::string text;
  for (const std::string& violation : violations) text += violation + "\n";
  return text;
}

CheckedProfile check_profile(std::string_view file) {
  CheckedProfile result;
  Checker(result).check(file);
  return result;
}

}  // namespace heapwalk::test
