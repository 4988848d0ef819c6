// Go's heap of `./dev bench`, smaller: enough objects for several workers at every step.
//
// The program says how many objects are live and how large they are; they all get a type, and the number of workers makes no
// difference to what any of them is.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "heapwalk/analysis.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

TEST(GoManyObjects, AreTypedAlikeByAnyNumberOfWorkers) {
  const std::string binary = std::string(HEAPWALK_PROGRAMS_DIR) + "/go/go_bench_heap";
  if (!std::filesystem::exists(binary)) GTEST_SKIP() << "built without Go";
  const ProgramRun run({.arguments = {binary, "600000"}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  std::istringstream truth(run.output());
  std::string word;
  uint64_t objects = 0, bytes = 0;
  truth >> word >> objects >> bytes;
  ASSERT_GE(objects, 600000U) << run.output();

  const auto one = analyze(run.core_path(), {.core = {.binary = binary}, .threads = 1, .on_stage = {}});
  const auto five = analyze(run.core_path(), {.core = {.binary = binary}, .threads = 5, .on_stage = {}});
  ASSERT_TRUE(one) << one.error().message;
  ASSERT_TRUE(five) << five.error().message;
  const Totals& totals = one->summary.totals;
  EXPECT_GE(totals.used_objects, objects);  // printing the truth makes some
  EXPECT_LE(totals.used_objects, objects + 100);
  EXPECT_GE(totals.used_bytes, bytes);
  EXPECT_LE(totals.leaked_objects, 100U);
  EXPECT_LE(one->summary.evidence.none, bytes / 1000);

  ASSERT_EQ(one->objects.size(), five->objects.size());
  size_t different = 0;
  one->objects.for_each([&](ObjectId id, Address, uint64_t, AllocationState) {
    const TypeClaim a = one->types->type_of(one->objects, id), b = five->types->type_of(five->objects, id);
    if (a.evidence != b.evidence || one->types->name(a.type) != five->types->name(b.type)) ++different;
  });
  EXPECT_EQ(different, 0U);
  EXPECT_EQ(five->summary.totals.reachable_bytes, totals.reachable_bytes);
  EXPECT_EQ(five->summary.stuck.size(), one->summary.stuck.size());
}

}  // namespace
}  // namespace heapwalk::test
