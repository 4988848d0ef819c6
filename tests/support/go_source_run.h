// Go programs of testdata/programs/go, built by the machine's own Go and run until they have dumped core.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dump/core_dump.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {

// A program, its core, and what it wrote about itself into the file that its first argument names.
class GoSourceRun {
 public:
  // `name`: a folder of testdata/programs/go; `flags`: of go build.
  explicit GoSourceRun(std::string_view name, const std::vector<std::string>& flags = {});

  const std::string& skip_reason() const { return skip_reason_; }  // no Go, or no cores on this machine
  const std::string& error() const { return error_; }
  const CoreDump& dump() const { return *dump_; }
  const std::string& binary() const { return binary_; }
  // The lines of the file, each in its columns, which tabs part.
  std::vector<std::vector<std::string>> truth() const;

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<ProgramRun> run_;
  std::unique_ptr<const CoreDump> dump_;
  std::string binary_, skip_reason_, error_;
};

}  // namespace heapwalk::test
