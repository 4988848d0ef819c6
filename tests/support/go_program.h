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
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {

struct PlantedObject {
  Address address;
  uint64_t size_bytes = 0;
  // "live", "garbage"; "finalizable": no root reaches it, but the next collection keeps it once more. go_cgo has
  // "c live" and "c leaked" too, of blocks of malloc; "stray": only a word of such a block leads to it.
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
// planted.tsv alone: address, bytes, fate, name, holder between tabs.
std::vector<PlantedObject> read_planted(const std::string& path);

// Where CMake puts a Go program; "" when it was not built: no go in PATH.
std::string go_program(const std::string& name);

struct GoRunOptions {
  std::vector<std::pair<std::string, std::string>> environment = {};  // GOTRACEBACK=crash, say
  bool use_gcore = false;                                             // with end=wait
  unsigned timeout_seconds = 120;
  // Built by the test itself where this is not the `go` of PATH, or where flags of go build are given.
  std::string toolchain = "go";
  std::vector<std::string> flags = {};
  bool uses_c = false;
  bool writes_heap_dump = true;  // else planted.tsv is all its truth
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
  void find_binary(const std::string& program, const GoRunOptions& options);

  std::string binary_, skip_reason_, error_;
  TemporaryDirectory built_;
  std::unique_ptr<ProgramRun> run_;
  std::optional<GoTruth> truth_;
};

}  // namespace heapwalk::test
