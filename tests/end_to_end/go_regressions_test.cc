// What other analysers of Go cores lose, each a test of its own: every object that the program planted is reached, exactly,
// by way of what holds it in the source, and what nobody can reach any more is not.
//
// The program is testdata/programs/go/go_regressions: the array is of full size, 20.7 MB in all; the list of 100 MB is one of
// 4.5 MB here.
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "heapwalk/analysis.h"
#include "tests/support/go_program.h"
#include "tests/support/go_toolchain.h"

namespace heapwalk::test {
namespace {

struct Build {
  std::string toolchain;
  bool is_stripped = false;
};
void PrintTo(const Build& build, std::ostream* out) {
  *out << build.toolchain << (build.is_stripped ? " -s -w" : "");
}

std::vector<Build> builds() {
  std::vector<Build> all;
  for (const std::string& toolchain : go_toolchains()) {
    all.push_back({toolchain, false});
    all.push_back({toolchain, true});
  }
  return all;
}

struct Recording {
  explicit Recording(const Build& build)
      : run(program(build), {},
            {.toolchain = build.toolchain,
             .flags = build.toolchain != "go" && build.is_stripped ? std::vector<std::string>{"-ldflags=-s -w"}
                                                                   : std::vector<std::string>{},
             .writes_heap_dump = false}) {
    if (!run.skip_reason().empty() || !run.error().empty()) return;
    auto analyzed = analyze(run.core_path(), {.core = {.binary = run.binary()}, .threads = 2, .on_stage = {}});
    if (analyzed) {
      analysis = std::make_unique<Analysis>(*std::move(analyzed));
    } else {
      error = analyzed.error().message;
    }
  }
  static std::string program(const Build& build) {
    return build.toolchain == "go" && build.is_stripped ? "go_regressions_stripped" : "go_regressions";
  }

  GoRun run;
  std::unique_ptr<Analysis> analysis;
  std::string error;
};

// What the tests want to know of one holder's objects of one name.
struct Found {
  uint64_t objects = 0, bytes = 0, held = 0;  // held: only the holder reaches them
  std::map<Stage, uint64_t> stages;
  std::map<std::string, uint64_t> types;
};

class GoRegressions : public ::testing::TestWithParam<Build> {
 protected:
  void SetUp() override {
    static std::map<std::pair<std::string, bool>, std::unique_ptr<Recording>> recordings;  // one run serves all tests
    auto& recording = recordings[{GetParam().toolchain, GetParam().is_stripped}];
    if (recording == nullptr) recording = std::make_unique<Recording>(GetParam());
    if (!recording->run.skip_reason().empty()) GTEST_SKIP() << recording->run.skip_reason();
    ASSERT_EQ(recording->run.error(), "");
    ASSERT_EQ(recording->error, "");
    core_ = recording.get();
  }

  // The name of the root that dominates an object; empty: several share it, or none reaches it.
  std::string holder_of(ObjectId id) const {
    const Analysis& analysis = *core_->analysis;
    const uint32_t first_root = static_cast<uint32_t>(2 + analysis.roots.owners.size());
    NodeId node = analysis.graph.node_of(id);
    while (node != kNoNode && index(node) >= first_root + analysis.roots.roots.size())
      node = analysis.dominators.immediate_dominator(node);
    if (node == kNoNode || index(node) < first_root) return {};
    return analysis.roots.roots[index(node) - first_root].name;
  }

  // Stripped programs have no names of variables: there every root will do, but a goroutine's has its function's.
  Found find(std::string_view holder, std::string_view name) const {
    const Analysis& analysis = *core_->analysis;
    Found found;
    for (const PlantedObject& object : core_->run.truth().planted) {
      if (object.holder != holder || object.name != name) continue;
      const auto id = analysis.objects.find_used(object.address);
      if (!id) continue;
      ++found.objects;
      found.bytes += analysis.objects.size_bytes(*id);
      found.stages[analysis.reachability.stage_of(analysis.graph.node_of(*id))] += 1;
      found.types[std::string(analysis.types->name(analysis.types->type_of(analysis.objects, *id).type))] += 1;
      const std::string by = holder_of(*id);
      const bool has_name = !GetParam().is_stripped || holder == "main.holdList";
      found.held += !by.empty() && (!has_name || by.find(holder) != std::string::npos) ? 1 : 0;
    }
    return found;
  }
  uint64_t planted(std::string_view holder, std::string_view name) const {
    return std::ranges::count_if(core_->run.truth().planted, [&](const PlantedObject& object) {
      return object.holder == holder && object.name == name;
    });
  }

  void expect_exact(std::string_view holder, std::string_view name, uint64_t count, uint64_t slot_bytes) const {
    const Found found = find(holder, name);
    EXPECT_EQ(found.objects, count) << name;
    EXPECT_EQ(found.bytes, slot_bytes == 0 ? found.bytes : count * slot_bytes) << name;
    EXPECT_EQ(found.held, count) << name << " by " << holder;
    EXPECT_EQ(found.stages, (std::map<Stage, uint64_t>{{Stage::exact, count}})) << name;
  }
  void expect_type(std::string_view holder, std::string_view name, const std::string& type) const {
    const Found found = find(holder, name);
    EXPECT_EQ(found.types, (std::map<std::string, uint64_t>{{type, found.objects}}));
  }

  Recording* core_ = nullptr;
};

TEST_P(GoRegressions, ArrayOfPointersBehindAnUnsafePointer) {
  expect_exact("main.array", "square", 20000, 1024);
  expect_exact("main.array", "array", 1, 163840);  // 160,000 bytes, whole pages
}

TEST_P(GoRegressions, ListThatOnlyAStackObjectLeadsTo) {
  expect_exact("main.holdList", "node", 40000, 112);
}

TEST_P(GoRegressions, ListOfAStackObjectThatIsDead) {
  const Found found = find("main.dropList", "node");
  EXPECT_EQ(found.objects, 40000u);
  EXPECT_EQ(found.stages, (std::map<Stage, uint64_t>{{Stage::leaked, 40000}}));
}

TEST_P(GoRegressions, MapWhoseDirectoryRepeatsATable) {
  const uint64_t count = planted("main.repeated", "item");
  ASSERT_GE(count, 20000u);
  expect_exact("main.repeated", "item", count, 144);
  expect_type("main.repeated", "item", "main.item");
}

TEST_P(GoRegressions, SlicesOfPointerfulElementsOf600Bytes) {
  expect_exact("main.wides", "part", 2000, 96);
  expect_exact("main.wides", "wide[]", 1, 606208);  // 600,000 bytes, whole pages
  expect_exact("main.fewWides", "part", 460, 96);
  expect_exact("main.fewWides", "wide[]", 20, 0);
  // Before Go 1.22 no block says its type, and a stripped program does not say the variable's.
  if (GetParam().is_stripped && core_->analysis->summary.allocators.at(0).version < "go1.22") return;
  expect_type("main.wides", "wide[]", "main.wide[]");
  expect_type("main.wides", "part", "main.part");
  expect_type("main.fewWides", "wide[]", "main.wide[]");
}

// Of a stripped program the run-time's own structures are found by what they look like, and its types by its own tables.
TEST_P(GoRegressions, StrippedOrNotTheHeapIsTheSame) {
  const Totals& totals = core_->analysis->summary.totals;
  uint64_t planted_objects = 0;
  for (const PlantedObject& object : core_->run.truth().planted)
    planted_objects += core_->analysis->objects.find_used(object.address).has_value() ? 1 : 0;
  EXPECT_EQ(planted_objects, core_->run.truth().planted.size());
  EXPECT_GE(totals.reachable_bytes, uint64_t{30} << 20);
  EXPECT_EQ(totals.unexplained_bytes, 0u);
  EXPECT_EQ(totals.leaked_bytes, totals.garbage_bytes);
  for (const Diagnostic& diagnostic : core_->analysis->diagnostics.all())  // the first: what only profiles need
    EXPECT_TRUE(diagnostic.code == "go_variable_unknown" || !diagnostic.code.starts_with("go_"))
        << diagnostic.code << ": " << diagnostic.text;
}

INSTANTIATE_TEST_SUITE_P(Go, GoRegressions, ::testing::ValuesIn(builds()), [](const auto& param) {
  return fmt::format("toolchain{}{}", param.index / 2, param.param.is_stripped ? "_stripped" : "");
});
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoRegressions);

}  // namespace
}  // namespace heapwalk::test
