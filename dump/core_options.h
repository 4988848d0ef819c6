// What the user may say about a core: where its files are to be found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace heapwalk {

struct CoreOptions {
  std::string binary = {};                   // the user's BINARY; empty: found through the core
  std::string sysroot = {};                  // prefix for the paths of the core's file table
  std::vector<std::string> debug_dirs = {};  // searched before /usr/lib/debug
  std::string cache_dir = {};                // where types of large modules are kept between runs; empty: nowhere
  std::optional<uint64_t> cached_debug_bytes = {};  // which modules are large: this much debug info; none: the default
  bool force = false;                               // accept a BINARY whose build id differs
  size_t threads = 1;
};

}  // namespace heapwalk
