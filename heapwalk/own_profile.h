// The profiles that the program's own run-time kept in its memory, as it would have written them at that moment.
//
//     core ─► read_own_profile(heap) ─► OwnProfile ─► report/own_profile.h ─► a pprof file
//
// A profile is a bag of samples: a stack, values (one per sample type), labels. It knows nothing of any run-time, and
// nothing of a format. A stack is a list of locations, innermost first; a location is one instruction, and the lines
// it stands for: several, innermost first, where calls were inlined.
//
// Nothing of this needs the analysis: the core and its modules suffice. (A profile that does has the same form:
// holder_profile.h.)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/diagnostics.h"
#include "dump/base/result.h"
#include "dump/core_dump.h"

namespace heapwalk {

enum class OwnProfileKind : uint8_t {
  heap,          // what is allocated and not freed, by where it was allocated
  allocs,        // the same, allocations since the start first
  goroutine,     // all stacks
  threadcreate,  // what made the threads
  block,         // waiting on channels, locks, conditions
  mutex,         // making others wait
};

struct OwnProfile {
  struct ValueType {
    std::string type, unit;  // "inuse_space", "bytes"
  };
  struct Function {
    std::string name, file;
    uint32_t start_line = 0;  // 0: unknown
  };
  struct Line {
    uint32_t function = 0;  // index
    uint32_t line = 0;      // 0: unknown
  };
  struct Location {
    Address address;          // of the call, not of what comes after it
    std::vector<Line> lines;  // empty: no function is known there
  };
  struct Label {  // a text, or a number
    std::string key, text;
    int64_t number = 0;
  };
  struct Sample {
    std::vector<uint32_t> locations;  // indices; may be empty
    std::vector<int64_t> values;      // one per sample type
    std::vector<Label> labels;
  };

  std::vector<ValueType> sample_types;
  std::string default_sample_type;  // empty: the last one
  ValueType period_type;
  int64_t period = 1;
  std::vector<Function> functions;
  std::vector<Location> locations;
  std::vector<Sample> samples;
};

// "heap", "allocs", … as runtime/pprof calls them.
std::optional<OwnProfileKind> parse_own_profile_kind(std::string_view name);
std::string_view name_of(OwnProfileKind kind);

// Errors: no run-time that keeps profiles is in the process, it did not keep this one, or the core does not say where it
// is. What of it could not be read is a diagnostic.
Result<OwnProfile> read_own_profile(const CoreDump& dump, OwnProfileKind kind, Diagnostics& diagnostics);

}  // namespace heapwalk
