// A whole analysis says the same, to the byte, whether its types are read or come from the cache.
#include <gtest/gtest.h>

#include <filesystem>

#include "heapwalk/analysis.h"
#include "report/formats.h"
#include "tests/support/compiler.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

std::string report(const std::string& core, const CoreOptions& options) {
  auto analysis = analyze(core, {.core = options, .threads = 2, .on_stage = {}});
  if (!analysis) return analysis.error().message;
  analysis->stages.clear();  // they took different times
  std::string text;
  Output output([&](std::string_view block) {
    text += block;
    return true;
  });
  const DocumentRequest request{.analysis = *analysis, .limit = {}, .owner = {}, .objects = {}};
  find_document("report", "json")(request, output);
  output.flush();
  return text;
}

TEST(TypeCache, ReportIsTheSame) {
  HEAPWALK_NEEDS_COMPILER();
  const TemporaryDirectory directory;
  const std::string program = directory.file("program");
  ASSERT_TRUE(run_tool({"g++", "-std=c++20", "-g", "-O1", "-pthread", "-Wl,--build-id",
                        std::string(HEAPWALK_SOURCE_DIR) + "/testdata/programs/typed_heap.cc", "-o", program}));
  const ProgramRun run({.arguments = {program, directory.file("truth.tsv")}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_FALSE(run.core_path().empty()) << run.error();

  const CoreOptions without{.binary = program, .cached_debug_bytes = 0};
  CoreOptions with = without;
  with.cache_dir = directory.file("cache");
  const std::string expected = report(run.core_path(), without);
  EXPECT_NE(expected.find("std::"), std::string::npos) << expected.substr(0, 2000);
  EXPECT_EQ(report(run.core_path(), with), expected);
  EXPECT_FALSE(std::filesystem::is_empty(with.cache_dir));
  EXPECT_EQ(report(run.core_path(), with), expected);
}

}  // namespace
}  // namespace heapwalk::test
