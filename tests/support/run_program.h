// Runs a program of testdata/programs/ in a directory of its own until it has dumped core.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace heapwalk {

struct RunOptions {
  std::vector<std::string> arguments;                                 // argv[0] is a path
  std::vector<std::pair<std::string, std::string>> environment = {};  // added to the test's own
  bool use_gcore = false;  // the program prints "ready" and waits: gdb's gcore dumps it, then it is killed
  // Not empty: after gcore a file of this name appears in its directory, and it goes on until it ends by itself.
  std::string continue_file = {};
  uint64_t core_limit_bytes = 0;  // RLIMIT_CORE; 0: no limit. A limit truncates the core
  unsigned timeout_seconds = 120;
};

// The directory and the core live as long as this.
class ProgramRun {
 public:
  explicit ProgramRun(const RunOptions& options);
  ~ProgramRun();
  ProgramRun(const ProgramRun&) = delete;
  ProgramRun& operator=(const ProgramRun&) = delete;

  const std::string& core_path() const { return core_path_; }      // empty: skip_reason or error says why
  const std::string& skip_reason() const { return skip_reason_; }  // this machine cannot make such cores
  const std::string& error() const { return error_; }
  const std::string& directory() const { return directory_; }
  const std::string& output() const { return output_; }  // standard output

 private:
  void run(const RunOptions& options);
  std::string find_core() const;

  std::string directory_;
  std::string core_path_;
  std::string skip_reason_;
  std::string error_;
  std::string output_;
};

// Why this machine's kernel would not leave a core file in the working directory of a crashed program; empty: it would.
std::string why_no_kernel_cores();

struct CommandResult {
  int status = -1;     // exit status, or 128 + signal
  std::string output;  // standard output and standard error
};
CommandResult run_command(const std::vector<std::string>& arguments);

}  // namespace heapwalk
