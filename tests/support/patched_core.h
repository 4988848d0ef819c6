// A core whose memory a test has written to, without touching the file.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "dump/core_dump.h"

namespace heapwalk {

class PatchedCore {
 public:
  explicit PatchedCore(CoreDump dump) : dump_(std::move(dump)) {}

  // False when the core has no bytes there. Each touched region is copied once.
  bool poke(Address address, uint64_t value);
  const CoreDump& dump() const { return dump_; }

 private:
  CoreDump dump_;
  std::map<Address, std::vector<std::byte>> copies_;  // by region begin
};

}  // namespace heapwalk
