// Why a goroutine waits, in the run-time's own words ("chan receive", "select").
//
// g.waitreason is one byte, and nearly every release renumbered it. The program's own table (runtime.waitReasonStrings) is
// asked first; a stripped program's releases are known here.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "heapwalk/runtimes/go/program/process.h"

namespace heapwalk::go {

class WaitReasons {
 public:
  WaitReasons(const CoreDump& dump, const Process& process);
  // Borrowed from the core, or static. Empty for 0 ("does not say"); "unknown wait reason" as the run-time prints it.
  std::string_view text(uint8_t reason) const;

 private:
  std::vector<std::string_view> texts_;
};

}  // namespace heapwalk::go
