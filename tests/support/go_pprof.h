// pprof itself, as it comes with Go: the reader that counts.
#pragma once

#include <string>
#include <vector>

#include "tests/support/heapwalk_command.h"

namespace heapwalk::test {

// Why `go tool pprof` cannot be run here; empty: it can.
std::string why_no_go_pprof();

// `go tool pprof ARGUMENTS…`, its scratch files and settings below `directory`.
CommandOutput run_go_pprof(const std::string& directory, std::vector<std::string> arguments);

}  // namespace heapwalk::test
