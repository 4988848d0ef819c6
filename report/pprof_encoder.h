// A pprof profile, put together piece by piece: the one door to protobuf and zlib.
//
// It keeps what readers demand: string_table[0] is empty, ids are 1..N in table order, texts are valid UTF-8 and no longer
// than 4 KiB (the rest replaced by its hash), gzip is one member with time 0. Equal functions, locations and samples are
// stored once. The same calls give the same bytes. Schema: proto/profile.proto, github.com/google/pprof.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/address.h"

namespace heapwalk {

class ProfileEncoder {
 public:
  struct Mapping {
    AddressRange range;
    uint64_t file_offset = 0;
    std::string_view file, build_id;
    bool has_symbols = true;  // its locations have functions, files and lines: no tool need look for them
  };
  struct Line {
    uint64_t function = 0;  // id
    int64_t line = 0;
    auto operator<=>(const Line&) const = default;
  };
  struct Label {  // a text, or (where that is empty) a number
    std::string_view key, text;
    int64_t number = 0;
    std::string_view unit = {};
  };

  ProfileEncoder();
  ~ProfileEncoder();
  ProfileEncoder(const ProfileEncoder&) = delete;
  ProfileEncoder& operator=(const ProfileEncoder&) = delete;

  void add_sample_type(std::string_view type, std::string_view unit);  // all before the first sample
  void set_default_sample_type(std::string_view type);
  void set_period(std::string_view type, std::string_view unit, int64_t period);
  void set_time(int64_t seconds);
  void add_comment(std::string_view text);
  uint64_t add_mapping(const Mapping& mapping);
  uint64_t function(std::string_view name, std::string_view file, int64_t start_line);
  // `lines` innermost first; `mapping` 0: in none.
  uint64_t location(std::span<const Line> lines, Address address = {}, uint64_t mapping = 0);
  // Adds the values, the first of them to sample type `first_value`, to the sample of these locations and labels.
  void add_sample(std::span<const uint64_t> locations, std::span<const Label> labels, size_t first_value,
                  std::span<const int64_t> values);
  // From here on no sample is added to one from before.
  void close_samples();

  std::string serialize() const;  // the message, not compressed

 private:
  struct Tables;
  int64_t text(std::string_view raw);
  std::unique_ptr<Tables> tables_;
};

// One gzip member.
std::string gzip(const std::string& bytes);

}  // namespace heapwalk
