// A run of a program of testdata/programs/go that writes a table of what it knows into the file that its first argument names,
// and then dumps core.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dump/core_dump.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {

class GoTableRun {
 public:
  // `program`: as CMake builds it.
  explicit GoTableRun(const std::string& program);

  const std::string& skip_reason() const { return skip_reason_; }
  const std::string& error() const { return error_; }
  const CoreDump& dump() const { return *dump_; }
  // The lines of the table, each in its columns, which tabs part.
  std::vector<std::vector<std::string>> table() const;

 private:
  std::string skip_reason_, error_;
  std::unique_ptr<ProgramRun> run_;
  std::optional<CoreDump> dump_;
};

}  // namespace heapwalk::test
