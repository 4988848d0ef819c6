// Why an object is still there: what is known about it, and paths from roots that lead to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dump/base/result.h"
#include "heapwalk/analysis.h"

namespace heapwalk {

struct WhyOptions {
  uint64_t paths = 3;  // at most, each from another root
  std::string avoid;   // no path through an object of this type or a root of this name; empty: any
};

struct WhyAnswer {
  uint64_t targets = 0;  // objects asked about
  Allocation object;
  std::string type;
  bool reachable = false;
  uint64_t retained_bytes = 0, retained_objects = 0;  // with the object itself
  std::vector<RootPath> paths;                        // shortest first; empty when no root reaches the object
  std::optional<RootPath> leak;  // of a leaked object: the way from the top of the leak that it belongs to
  bool is_garbage = false;       // leaked, but a collector would free it
};

// Error: no allocation contains the address.
Result<WhyAnswer> explain_object(const Analysis& analysis, Address address, const WhyOptions& options);

}  // namespace heapwalk
