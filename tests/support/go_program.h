// A run of a program of testdata/programs/go: its core, and what it wrote down about itself at the same moment.
//
//     GoRun run("go_heap", {"end=fork", "spin=0"});
//     if (run.skip_reason() …) GTEST_SKIP(); ASSERT_EQ(run.error(), "");
//     CoreDump of run.core_path() with run.binary(), against run.truth().heap
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/go_heap_dump.h"
#include "tests/support/json.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {

struct PlantedObject {
  Address address;
  uint64_t size_bytes = 0;
  // "live", "garbage"; "finalizable": no root reaches it, but the next collection keeps it once more. go_cgo has
  // "c live" and "c leaked" too, of blocks of malloc.
  std::string fate;
  std::string name, holder;
};

struct GoTruth {
  std::vector<PlantedObject> planted;
  std::string stacks;  // runtime.Stack
  Json memstats{google::protobuf::Value()};
  GoHeapDump heap;
  std::optional<GoHeapDump> after;  // of the modes that go on after the core: one collection later
};

// The truth files of a directory (go_heap/truth.go lists them).
Result<GoTruth> read_go_truth(const std::string& directory);

// Where CMake puts a Go program; "" when it was not built: no go in PATH.
std::string go_program(const std::string& name);

struct GoRunOptions {
  std::vector<std::pair<std::string, std::string>> environment = {};  // GOTRACEBACK=crash, say
  bool use_gcore = false;                                             // with end=wait
  unsigned timeout_seconds = 120;
};

class GoRun {
 public:
  GoRun(const std::string& program, std::vector<std::string> arguments, const GoRunOptions& options = {});

  const std::string& skip_reason() const { return skip_reason_; }
  const std::string& error() const { return error_; }
  const std::string& binary() const { return binary_; }
  const std::string& core_path() const { return run_->core_path(); }
  const std::string& directory() const { return run_->directory(); }  // heap.pb.gz and the other profiles
  const GoTruth& truth() const { return *truth_; }

 private:
  std::string binary_, skip_reason_, error_;
  std::unique_ptr<ProgramRun> run_;
  std::optional<GoTruth> truth_;
};

}  // namespace heapwalk::test
