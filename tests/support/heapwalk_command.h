// Runs the heapwalk binary as a user would.
#pragma once

#include <string>
#include <vector>

namespace heapwalk::test {

struct CommandOutput {
  int status = -1;  // exit status, or 128 + signal
  std::string out;
  std::string err;
};

// `arguments` follow the program's name. Standard input is /dev/null; standard output and error are files.
CommandOutput run_heapwalk(const std::vector<std::string>& arguments);
// Any program, found through PATH.
CommandOutput run_captured(const std::vector<std::string>& command);

}  // namespace heapwalk::test
