// The small cores of testdata/cores/, recorded by testdata/go/record: one per release of Go, each with its program and
// the truth of the same moment. Whoever changes go_heap records them anew only for what they are to show.
#pragma once

#include <string>
#include <vector>

#include "tests/support/go_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {

std::vector<int> recorded_go_minors();  // 19, 20, …

class RecordedCore {
 public:
  explicit RecordedCore(int minor);  // unpacks it

  const std::string& error() const { return error_; }
  std::string core_path() const { return directory_.file("core"); }
  std::string binary() const { return directory_.file("go_heap"); }  // without machine code, mostly without debug info
  std::string profile_path() const { return directory_.file("profile.tsv"); }
  const GoTruth& truth() const { return truth_; }

 private:
  TemporaryDirectory directory_;
  GoTruth truth_;
  std::string error_;
};

}  // namespace heapwalk::test
