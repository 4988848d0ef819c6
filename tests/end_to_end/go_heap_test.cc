// Go's heap out of a core is what the process itself wrote down about that moment: every object, every pointer of every
// object, every package variable's pointers; and what the next collection freed is what heapwalk calls garbage.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "heapwalk/analysis.h"
#include "tests/support/go_program.h"
#include "tests/support/recorded_core.h"

namespace heapwalk::test {
namespace {

using Objects = std::map<Address, uint64_t>;

Objects objects_of(const Analysis& analysis) {
  Objects result;
  analysis.objects.for_each([&](ObjectId, Address address, uint64_t size_bytes, AllocationState state) {
    if (state == AllocationState::used && analysis.managed.contains(address)) result[address] = size_bytes;
  });
  return result;
}

// The first few differences, for a person.
std::string difference(const Objects& found, const Objects& wanted) {
  std::string text;
  size_t lines = 0;
  for (auto [address, size] : wanted)
    if (!found.contains(address) && lines++ < 5) text += fmt::format("missing {:#x} of {}\n", address.value, size);
  for (auto [address, size] : found)
    if (!wanted.contains(address) && lines++ < 10) text += fmt::format("extra {:#x} of {}\n", address.value, size);
  for (auto [address, size] : found)
    if (auto at = wanted.find(address); at != wanted.end() && at->second != size && lines++ < 15)
      text += fmt::format("{:#x} of {}, not {}\n", address.value, size, at->second);
  return text;
}

void expect_objects(const Analysis& analysis, const GoHeapDump& truth) {
  Objects wanted;
  for (const GoHeapDump::Object& object : truth.objects) wanted[object.address] = object.contents.size();
  EXPECT_EQ(difference(objects_of(analysis), wanted), "");
  uint64_t used = 0;
  for (const AllocatorRow& row : analysis.summary.allocators)
    if (row.name == "go") used = row.used_bytes;
  EXPECT_EQ(used, truth.heap_alloc());
}

void expect_pointers(const Analysis& analysis, const GoHeapDump& truth) {
  const auto reader = analysis.managed.make_reader();
  size_t wrong = 0, pointers = 0;
  for (const GoHeapDump::Object& object : truth.objects) {
    const auto range = AddressRange::of(object.address, object.contents.size());
    std::vector<Address> found;
    EXPECT_TRUE(reader->read(range, range, found)) << fmt::format("{:#x}", object.address.value);
    std::vector<Address> wanted;
    for (uint64_t offset : truth.pointer_offsets(object)) wanted.push_back(object.address + offset);
    pointers += wanted.size();
    if (found != wanted && ++wrong <= 5)
      ADD_FAILURE() << fmt::format("{:#x} of {}: {} pointers, not {}", object.address.value, object.contents.size(),
                                   found.size(), wanted.size());
  }
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(pointers, truth.objects.size() / 2);
}

void expect_variables(const Analysis& analysis, const GoHeapDump::Segment& segment) {
  const auto range = AddressRange::of(segment.address, segment.contents.size());
  std::set<Address> wanted;
  for (uint64_t offset : segment.pointer_offsets)
    if (analysis.dump->memory.read_word(segment.address + offset).value_or(0) != 0)
      wanted.insert(segment.address + offset);
  std::string difference;
  for (Address word : analysis.managed.exact_words)
    if (range.contains(word) && wanted.erase(word) == 0) difference += fmt::format("extra {:#x} ", word.value);
  for (Address word : wanted) difference += fmt::format("missing {:#x} ", word.value);
  EXPECT_EQ(difference.substr(0, 500), "") << fmt::format("in [{:#x}, {:#x})", range.begin.value, range.end.value);
}

// The goroutine that writes the truth runs: its registers and innermost frame have no pointer map, and one of their words may
// still lead to garbage. What only such words reach is known to be uncertain.
void expect_fates(const Analysis& analysis, const std::vector<PlantedObject>& planted) {
  std::map<std::string, std::map<Stage, size_t>> fates;
  for (const PlantedObject& object : planted) {
    const auto id = analysis.objects.find_used(object.address);
    ASSERT_TRUE(id) << object.name;
    const Stage stage = analysis.reachability.stage_of(analysis.graph.node_of(*id));
    fates[object.fate][stage] += 1;
    EXPECT_FALSE(object.fate == "live" && stage == Stage::leaked) << object.name << " held by " << object.holder;
    EXPECT_FALSE(object.fate == "garbage" && stage == Stage::exact) << object.name << " held by " << object.holder;
  }
  EXPECT_GE(fates["live"][Stage::exact], 5u);
  EXPECT_GE(fates["garbage"][Stage::leaked], 5u);
  EXPECT_LE(fates["garbage"][Stage::conservative], 2u);
}

void expect_truth(const std::string& core, const std::string& binary, const GoTruth& truth) {
  auto analysis = analyze(core, {.core = {.binary = binary}, .threads = 2, .on_stage = {}});
  ASSERT_TRUE(analysis) << analysis.error().message;
  ASSERT_FALSE(analysis->managed.empty());
  expect_objects(*analysis, truth.heap);
  expect_pointers(*analysis, truth.heap);
  expect_variables(*analysis, truth.heap.data);
  expect_variables(*analysis, truth.heap.bss);
  expect_fates(*analysis, truth.planted);
}

class GoHeapTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoHeapTest, IsWhatTheProcessWroteDown) {
  GoRun run(GetParam(), {"end=fork", "spin=0"});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  expect_truth(run.core_path(), run.binary(), run.truth());
}

INSTANTIATE_TEST_SUITE_P(Builds, GoHeapTest,
                         ::testing::Values("go_heap", "go_heap_stripped", "go_heap_unoptimized", "go_heap_pie"),
                         [](const auto& param) { return std::string(param.param); });

// Taken while the program goes on, or while its run-time prints stacks: what was allocated since the truth was written is
// new, and what lies on a stack that runs may look like a pointer. What is live is never garbage.
struct Moment {
  std::string name;
  std::vector<std::string> arguments;
  GoRunOptions options;
};
void PrintTo(const Moment& moment, std::ostream* out) {
  *out << moment.name;
}

class GoMomentTest : public ::testing::TestWithParam<Moment> {};

TEST_P(GoMomentTest, LosesNothingThatIsLive) {
  GoRun run("go_heap", GetParam().arguments, GetParam().options);
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  auto analysis = analyze(run.core_path(), {.core = {.binary = run.binary()}, .threads = 2, .on_stage = {}});
  ASSERT_TRUE(analysis) << analysis.error().message;
  std::map<std::string, size_t> garbage;
  for (const PlantedObject& object : run.truth().planted) {
    const auto id = analysis->objects.find_used(object.address);
    const bool is_there = id && analysis->objects.address(*id) <= object.address;
    const Stage stage = is_there ? analysis->reachability.stage_of(analysis->graph.node_of(*id)) : Stage::leaked;
    EXPECT_FALSE(object.fate == "live" && stage == Stage::leaked) << object.name << " held by " << object.holder;
    if (object.fate == "garbage") garbage[stage == Stage::exact ? "exactly reached" : "not exactly reached"] += 1;
  }
  EXPECT_EQ(garbage["exactly reached"], 0u);
  EXPECT_GT(garbage["not exactly reached"], 4u);
  // Little is allocated between the truth and the core; a collection has freed some of the garbage.
  const auto used = static_cast<double>(analysis->summary.totals.used_bytes);
  const auto wanted = static_cast<double>(run.truth().heap.heap_alloc());
  EXPECT_LT(used, wanted * 1.02);
  const bool is_collecting = GetParam().name == "marking" || GetParam().name == "sweeping";
  EXPECT_TRUE(is_collecting || used > wanted * 0.98) << used << " of " << wanted;
}

INSTANTIATE_TEST_SUITE_P(
    At, GoMomentTest,
    ::testing::Values(Moment{"marking", {"end=fork", "spin=0", "collect=mark"}, {}},
                      Moment{"sweeping", {"end=fork", "spin=0", "collect=sweep"}, {}},
                      Moment{"an_abort", {"end=abort"}, {}},
                      Moment{"a_crash", {"end=crash"}, {.environment = {{"GOTRACEBACK", "crash"}}}},
                      Moment{"a_panic", {"end=panic"}, {.environment = {{"GOTRACEBACK", "crash"}}}},
                      Moment{"gcore", {"end=wait"}, {.use_gcore = true}}),
    [](const auto& param) { return param.param.name; });

class GoRecordedHeapTest : public ::testing::TestWithParam<int> {};

TEST_P(GoRecordedHeapTest, IsWhatTheProcessWroteDown) {
  RecordedCore core(GetParam());
  ASSERT_EQ(core.error(), "");
  expect_truth(core.core_path(), core.binary(), core.truth());
}

INSTANTIATE_TEST_SUITE_P(Go1, GoRecordedHeapTest, ::testing::Range(19, 28), ::testing::PrintToStringParamName());

}  // namespace
}  // namespace heapwalk::test
