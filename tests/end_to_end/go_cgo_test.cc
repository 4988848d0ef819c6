// C and Go in one process, two heaps in one graph: what each side holds of the other is found, typed and named, what
// nobody holds of C's is a leak and of Go's garbage, and a word of C's that Go's collector does not know is no reference.
//
// The program is testdata/programs/go/go_cgo.
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "heapwalk/analysis.h"
#include "heapwalk/why.h"
#include "tests/support/go_program.h"
#include "tests/support/go_toolchain.h"

namespace heapwalk::test {
namespace {

struct Recording {
  explicit Recording(const std::string& toolchain) : run("go_cgo", {}, {.toolchain = toolchain, .uses_c = true}) {
    if (!run.skip_reason().empty() || !run.error().empty()) return;
    auto analyzed = analyze(run.core_path(), {.core = {.binary = run.binary()}, .threads = 2, .on_stage = {}});
    if (analyzed) {
      analysis = std::make_unique<Analysis>(*std::move(analyzed));
    } else {
      error = analyzed.error().message;
    }
  }

  GoRun run;
  std::unique_ptr<Analysis> analysis;
  std::string error;
};

class GoCgo : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    static std::map<std::string, std::unique_ptr<Recording>> recordings;  // one run serves all tests
    auto& recording = recordings[GetParam()];
    if (recording == nullptr) recording = std::make_unique<Recording>(GetParam());
    if (!recording->run.skip_reason().empty()) GTEST_SKIP() << recording->run.skip_reason();
    ASSERT_EQ(recording->run.error(), "");
    ASSERT_EQ(recording->error, "");
    core_ = recording.get();
  }

  const Analysis& analysis() const { return *core_->analysis; }
  std::vector<PlantedObject> planted(std::string_view fate) const {
    std::vector<PlantedObject> result;
    for (const PlantedObject& object : core_->run.truth().planted)
      if (object.fate == fate) result.push_back(object);
    return result;
  }
  Stage stage_of(Address address) const {
    const auto id = analysis().objects.find_used(address);
    return id ? analysis().reachability.stage_of(analysis().graph.node_of(*id)) : Stage::none;
  }
  std::string type_of(Address address) const {
    const auto id = analysis().objects.find_used(address);
    return id ? std::string(analysis().types->name(analysis().types->type_of(analysis().objects, *id).type)) : "";
  }

  Recording* core_ = nullptr;
};

std::string text_of(const PlantedObject& object) {
  return object.fate + " " + object.name + " of " + object.holder;
}

TEST_P(GoCgo, BothHeapsAreDecoded) {
  std::map<std::string, const AllocatorRow*> rows;
  for (const AllocatorRow& row : analysis().summary.allocators) rows[row.name] = &row;
  ASSERT_TRUE(rows.contains("go"));
  ASSERT_TRUE(rows.contains("glibc"));
  // The other threads went on after the truth was written.
  EXPECT_GE(rows["go"]->used_bytes, core_->run.truth().heap.heap_alloc());
  EXPECT_LE(rows["go"]->used_bytes, core_->run.truth().heap.heap_alloc() + 16384);
  EXPECT_EQ(rows["glibc"]->unexplained_bytes, 0u);
  for (const PlantedObject& object : core_->run.truth().planted) {
    const auto id = analysis().objects.find_used(object.address);
    ASSERT_TRUE(id) << text_of(object);
    EXPECT_GE(analysis().objects.size_bytes(*id), object.size_bytes) << text_of(object);
    const std::string allocator = analysis().decoders[analysis().objects.allocator(*id)]->facts().name;
    EXPECT_EQ(allocator, object.fate.starts_with("c ") ? "glibc" : "go") << text_of(object);
  }
}

// A number that is an address of C's is a reference as it is one in C, though none of the collector's.
TEST_P(GoCgo, LiveObjectsAreReached) {
  for (const char* fate : {"live", "c live"}) {
    const std::vector<PlantedObject> live = planted(fate);
    EXPECT_GE(live.size(), 10u) << fate;
    for (const PlantedObject& object : live)
      EXPECT_EQ(stage_of(object.address), object.holder == "main.asNumber" ? Stage::conservative : Stage::exact)
          << text_of(object);
  }
}

// And what it prints: the path begins at what holds the object in the source, on whichever side.
TEST_P(GoCgo, PathsBeginAtVariablesAndGoroutinesOfTheSource) {
  for (const PlantedObject& object : core_->run.truth().planted) {
    if (object.holder.empty() || object.fate == "garbage") continue;
    const auto why = explain_object(analysis(), object.address, {});
    ASSERT_TRUE(why) << why.error().message;
    bool is_found = false;
    std::string roots;
    for (const RootPath& path : why->paths) {
      roots += path.root_name + "; ";
      const size_t at = path.root_name.find(object.fate == "stray" ? "main.session" : object.holder);
      const bool is_local = path.root_kind == "goroutine" || path.root_kind == "stack";
      is_found |= at != std::string::npos && (is_local || at <= 1);  // "*main.session"
    }
    EXPECT_TRUE(is_found) << text_of(object) << ": " << roots;
  }
}

TEST_P(GoCgo, BlocksOfCHaveTheTypesThatGoSays) {
  std::map<std::string, size_t> checked;
  for (const PlantedObject& object : planted("c live")) {
    if (object.holder == "main.asNumber" || object.name == "unknown" || object.name == "block") continue;
    const std::string wanted = object.name == "text" ? "main._Ctype_char[]" : "main._Ctype_struct_" + object.name;
    EXPECT_EQ(type_of(object.address), wanted) << text_of(object);
    checked[wanted] += 1;
  }
  EXPECT_EQ(checked.size(), 3u);
  const auto why = explain_object(analysis(), planted("c live")[2].address, {});
  ASSERT_TRUE(why) << why.error().message;
  ASSERT_FALSE(why->paths.empty());
  std::string fields;
  for (const PathStep& step : why->paths.front().steps) fields += " " + step.field;
  EXPECT_EQ(fields, "  session rows next text");
}

TEST_P(GoCgo, LeaksAreBlocksOfCAndNoOthers) {
  const std::vector<PlantedObject> lost = planted("c leaked");
  uint64_t lost_bytes = 0;
  for (const PlantedObject& object : lost) {
    EXPECT_EQ(stage_of(object.address), Stage::leaked) << text_of(object);
    lost_bytes += analysis().objects.size_bytes(*analysis().objects.find_used(object.address));
  }
  ASSERT_EQ(lost.size(), 20u * 21);
  const Totals& totals = analysis().summary.totals;
  EXPECT_EQ(totals.leaked_objects - totals.garbage_objects, lost.size());
  EXPECT_EQ(totals.leaked_bytes - totals.garbage_bytes, lost_bytes);
  uint64_t roots = 0;
  for (const LeakRow& row : analysis().summary.leaks)
    if (!row.is_garbage) roots += row.roots;
  EXPECT_EQ(roots, 20u);
}

TEST_P(GoCgo, GarbageIsNoLeak) {
  const std::vector<PlantedObject> garbage = planted("garbage");
  ASSERT_GE(garbage.size(), 20u);
  std::map<Stage, size_t> stages;
  for (const PlantedObject& object : garbage) stages[stage_of(object.address)] += 1;
  // A stale word of a running goroutine's stack or registers may hold one. A variable of C's holds nothing of Go's.
  EXPECT_EQ(stages[Stage::exact], 0u);
  EXPECT_GE(stages[Stage::leaked] + 2, garbage.size());
  EXPECT_GE(analysis().summary.totals.garbage_objects, stages[Stage::leaked]);
}

// Somebody may look for it, so the words are shown; but the collector frees what only they lead to.
TEST_P(GoCgo, WhatOnlyAWordOfCLeadsToIsPossiblyLive) {
  const std::vector<PlantedObject> stray = planted("stray");
  ASSERT_EQ(stray.size(), 2u);
  for (const PlantedObject& object : stray) EXPECT_EQ(stage_of(object.address), Stage::tainted) << text_of(object);
}

INSTANTIATE_TEST_SUITE_P(Go, GoCgo, ::testing::ValuesIn(go_toolchains()),
                         [](const auto& param) { return "toolchain" + std::to_string(param.index); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoCgo);

}  // namespace
}  // namespace heapwalk::test
