// A core that is cut off is analysed as far as it goes, and says how much is missing.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

namespace fs = std::filesystem;
const std::string kBinary = std::string(HEAPWALK_PROGRAMS_DIR) + "/demo_server";

class TruncatedCore : public ::testing::Test {
 protected:
  TruncatedCore() : run_({.arguments = {kBinary, "4000"}}) {}
  void SetUp() override {
    if (!run_.skip_reason().empty()) GTEST_SKIP() << run_.skip_reason();
    ASSERT_EQ(run_.error(), "");
    size_ = fs::file_size(run_.core_path());
  }

  // The core's first `bytes` bytes, in a file that is then analysed.
  CommandOutput report_on_prefix(uint64_t bytes) {
    const std::string path = scratch_.file("core.cut");
    fs::copy_file(run_.core_path(), path, fs::copy_options::overwrite_existing);
    fs::resize_file(path, bytes);
    return run_heapwalk({"report", path, kBinary, "--format", "json"});
  }

  ProgramRun run_;
  TemporaryDirectory scratch_;
  uint64_t size_ = 0;
};

TEST_F(TruncatedCore, HalfACoreStillHasAHeap) {
  const CommandOutput whole = run_heapwalk({"report", run_.core_path(), kBinary, "--format", "json"});
  ASSERT_EQ(whole.status, 0) << whole.err;
  const uint64_t used = parse_json(whole.out)["totals"]["used_objects"].number();
  ASSERT_GT(used, 1000U);

  const CommandOutput cut = report_on_prefix(size_ * 52 / 100);
  ASSERT_EQ(cut.status, 0) << cut.err;
  const Json report = parse_json(cut.out);
  EXPECT_GT(report["totals"]["used_objects"].number(), 0U) << cut.out.substr(0, 3000);
  bool said = false;
  for (const Json& diagnostic : report["diagnostics"].items()) said |= diagnostic["code"].text() == "truncated_core";
  EXPECT_TRUE(said) << cut.out.substr(0, 3000);
}

TEST_F(TruncatedCore, EveryLengthIsAReportOrOneLine) {
  for (int percent = 0; percent < 100; percent += 4) {
    const CommandOutput result = report_on_prefix(size_ * static_cast<uint64_t>(percent) / 100);
    ASSERT_TRUE(result.status == 0 || result.status == 1) << percent << " %: status " << result.status;
    if (result.status == 1) {
      EXPECT_TRUE(result.err.starts_with("heapwalk: ")) << result.err;
      EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
      EXPECT_EQ(result.out, "");
    }
  }
  for (uint64_t bytes : {1, 4, 16, 63, 64, 65, 100, 120, 1000, 4096, 10000}) {
    const CommandOutput result = report_on_prefix(bytes);
    ASSERT_TRUE(result.status == 0 || result.status == 1) << bytes << " bytes: status " << result.status;
  }
}

TEST_F(TruncatedCore, CompressedCoresOpenLikeAnyOther) {
  const CommandOutput plain = run_heapwalk({"objects", run_.core_path(), kBinary, "--format", "tsv"});
  ASSERT_EQ(plain.status, 0) << plain.err;
  const std::vector<std::vector<std::string>> compressors = {
      {"zstd", "-q", "-1", "-k"},
      {"lz4", "-q", "-k", "-m"},
      {"gzip", "-1", "-k"},
      {"xz", "-0", "-k"}};  // lz4 -m: a file, not standard output
  for (std::vector<std::string> command : compressors) {
    const std::string program = command[0];
    const std::string path = scratch_.file(program + "-core");
    fs::copy_file(run_.core_path(), path);
    command.push_back(path);
    const CommandOutput compressed = run_captured(command);
    if (compressed.status == 127) GTEST_SKIP() << program << " is not installed";
    ASSERT_EQ(compressed.status, 0) << program << ": " << compressed.err;
    fs::remove(path);
    std::string archive;
    for (const auto& entry : fs::directory_iterator(scratch_.path()))
      if (entry.path().filename().string().starts_with(program + "-core")) archive = entry.path();
    ASSERT_NE(archive, "") << program;
    const CommandOutput result = run_heapwalk({"objects", archive, kBinary, "--format", "tsv"});
    ASSERT_EQ(result.status, 0) << program << ": " << result.err;
    EXPECT_EQ(result.out, plain.out) << program;
  }
}

}  // namespace
}  // namespace heapwalk::test
