// Blocks that one local or parameter each holds: heapwalk must name that variable, its frame, and the block's type.
//
// The program (testdata/programs/frame_locals.cc) writes down which variable holds which block. Without optimisation every
// one must be named. An optimising compiler may lose track of a variable; its block must then be found through the words of
// that thread's stack or a register, without a name, and never through another variable.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "tests/support/compiler.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

struct Variant {
  const char* name;
  const char* compiler;
  std::string flags;
  size_t may_be_lost = 0;  // variables that the compiler's debug info has no place for
  bool has_records = false;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.compiler << " " << variant.flags;
}

struct Planted {
  std::string function, variable, type;
};

std::map<uint64_t, Planted> read_record(const std::string& path) {
  std::map<uint64_t, Planted> record;
  std::ifstream file(path);
  std::string address, function, variable, type;
  while (std::getline(file, address, '\t') && std::getline(file, function, '\t') &&
         std::getline(file, variable, '\t') && std::getline(file, type)) {
    record[std::stoull(address, nullptr, 16)] = {function, variable, type};
  }
  return record;
}

std::string find_compiler(const std::string& name) {
  for (const std::string& each : {name, name + "-19", name + "-16", name + "-14"})
    if (run_command({each, "--version"}).status == 0) return each;
  return "";
}

class FrameLocals : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    const std::string compiler = find_compiler(GetParam().compiler);
    if (compiler.empty()) GTEST_SKIP() << GetParam().compiler << " is not here";
    program_ = directory_.file("frame_locals");
    ASSERT_TRUE(run_tool({"sh", "-c",
                          fmt::format("{} -std=c++20 -pthread {} {} -o {}", compiler, GetParam().flags,
                                      HEAPWALK_SOURCE_DIR "/testdata/programs/frame_locals.cc", program_)}));
    std::vector<std::string> arguments = {program_, directory_.file("record")};
    if (GetParam().has_records) arguments.emplace_back("records");
    run_ = std::make_unique<ProgramRun>(RunOptions{.arguments = arguments});
    if (!run_->skip_reason().empty()) GTEST_SKIP() << run_->skip_reason();
    ASSERT_EQ(run_->error(), "");
    record_ = read_record(directory_.file("record"));
    ASSERT_GE(record_.size(), 30U);
  }

  TemporaryDirectory directory_;
  std::string program_;
  std::unique_ptr<ProgramRun> run_;
  std::map<uint64_t, Planted> record_;
};

bool is_type(const std::string& found, const std::string& truth) {
  for (const char* scope : {"", "shapes::"})
    for (const char* array : {"", "[]"})
      if (found == scope + truth + array) return true;
  return truth.empty();
}

TEST_P(FrameLocals, AreNamedAsHoldersOfTheirBlocks) {
  const CommandOutput result = run_heapwalk({"objects", run_->core_path(), program_, "--format", "tsv"});
  ASSERT_EQ(result.status, 0) << result.err;
  std::istringstream lines(result.out);
  std::string line;
  std::getline(lines, line);
  size_t named = 0, lost = 0;
  while (std::getline(lines, line)) {
    std::istringstream row(line);
    std::vector<std::string> cells;
    for (std::string cell; std::getline(row, cell, '\t');) cells.push_back(cell);
    ASSERT_GE(cells.size(), 8U);
    const auto planted = record_.find(std::stoull(cells[0], nullptr, 16));
    if (planted == record_.end()) continue;
    const std::string root = cells.size() > 8 ? cells[8] : "";
    const auto& [function, variable, type] = planted->second;
    EXPECT_EQ(cells[6], "yes") << variable;
    if (root.find(" frame #") == std::string::npos) {
      fmt::print("lost: {} {}, held by {}\n", function, variable, root);
      ++lost;
    } else {
      EXPECT_NE(root.find(function), std::string::npos) << root << " for " << variable;
      EXPECT_TRUE(root.ends_with(" " + variable)) << root << " for " << function << " " << variable;
      EXPECT_TRUE(is_type(cells[4], type)) << cells[4] << " for " << type << " of " << variable;
      ++named;
    }
    record_.erase(planted);
  }
  EXPECT_TRUE(record_.empty()) << "never listed: " << record_.begin()->second.variable;
  EXPECT_LE(lost, GetParam().may_be_lost);
  fmt::print("{} blocks named by their local, {} lost by the compiler\n", named, lost);
}

TEST_P(FrameLocals, OwnTheirBlocksInReports) {
  const CommandOutput result = run_heapwalk({"why", run_->core_path(), program_, "--format", "json", "--address",
                                             fmt::format("{:#x}", record_.begin()->first)});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("frame #"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("\"exact\""), std::string::npos) << result.out;  // a typed pointer
  const CommandOutput one = run_heapwalk({"roots", run_->core_path(), program_, "--format", "tsv", "--threads", "1"});
  const CommandOutput five = run_heapwalk({"roots", run_->core_path(), program_, "--format", "tsv", "--threads", "5"});
  EXPECT_EQ(one.out, five.out);
  EXPECT_NE(one.out.find("local own"), std::string::npos);
  EXPECT_NE(one.out.find("frame_locals.cc:"), std::string::npos);  // where it is declared
}

INSTANTIATE_TEST_SUITE_P(
    BuiltBy, FrameLocals,
    testing::Values(Variant{"gcc_O0", "g++", "-g -O0"}, Variant{"gcc_O0_records", "g++", "-g -O0", 0, true},
                    Variant{"gcc_O2", "g++", "-g -O2", 5}, Variant{"gcc_O2_records", "g++", "-g -O2", 5, true},
                    Variant{"gcc4_O1", "g++", "-gdwarf-4 -O1", 2}, Variant{"clang_O0", "clang++", "-g -O0"},
                    Variant{"clang_O2", "clang++", "-g -O2"},
                    Variant{"clang_O2_records", "clang++", "-g -O2 -gsplit-dwarf", 0, true}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace heapwalk::test
