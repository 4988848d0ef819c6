// Mappings of the program's own whose pages begin as malloc's mapped chunks do: malloc's own count says that there are none.
#include <gtest/gtest.h>

#include "tests/support/compiler.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

constexpr std::string_view kSource = R"(
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
int main(void) {
  long* pages = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 1 << 17; i += 512) pages[i + 1] = 0x3000 | 2;
  printf("%p\n", (void*)pages);
  fflush(stdout);
  abort();
}
)";

TEST(ForeignMapping, IsNoMappedChunk) {
  HEAPWALK_NEEDS_COMPILER();
  const TemporaryDirectory directory;
  const std::string program = compile_c(directory, "program", kSource, {"-O1"});
  const ProgramRun run({.arguments = {program}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const CommandOutput output = run_heapwalk({"report", run.core_path(), program, "--format", "json"});
  ASSERT_EQ(output.status, 0) << output.err;
  const Json report = parse_json(output.out);
  EXPECT_LT(report["totals"]["used_bytes"].number(), 100'000U);
  EXPECT_EQ(report["diagnostics"].items().size(), 0U) << output.out;
}

}  // namespace
}  // namespace heapwalk::test
