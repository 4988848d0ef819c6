// Where sampled objects were allocated and what holds them, against a program that plants each of them: every place of
// allocation × every holder, and the sums that the program's own heap profile would show. The program is testdata/programs/go/held.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "heapwalk/analysis.h"
#include "heapwalk/holder_profile.h"
#include "heapwalk/holders.h"
#include "heapwalk/runtimes/go/profiles/heap_sampling.h"
#include "heapwalk/runtimes/go/profiles/memory_counts.h"
#include "tests/support/go_pprof.h"
#include "tests/support/go_toolchain.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/own_pprof.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

struct Variant {
  std::string toolchain, flags;
  std::vector<std::string> arguments;  // of the program
  std::string name;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.toolchain << " " << variant.name;
}

struct Planted {
  Address address;
  std::string site;    // "main.newSession main.go:45"
  std::string holder;  // '*' stands for any text
};

struct Recording {
  explicit Recording(const Variant& variant) {
    program = directory.file("held");
    error =
        build_go_program(variant.toolchain, HEAPWALK_SOURCE_DIR "/testdata/programs/go/held", program, variant.flags);
    if (!error.empty()) return;
    RunOptions options{.arguments = {program, directory.file("truth")}, .environment = {{"GOTRACEBACK", "crash"}}};
    options.arguments.insert(options.arguments.end(), variant.arguments.begin(), variant.arguments.end());
    run = std::make_unique<ProgramRun>(options);
    error = run->error();
    if (run->core_path().empty()) return;
    std::ifstream lines(directory.file("truth"));
    std::string address, function, line, holder;
    while (std::getline(lines, address, '\t') && std::getline(lines, function, '\t') &&
           std::getline(lines, line, '\t') && std::getline(lines, holder))
      planted.push_back({Address{std::stoull(address, nullptr, 16)}, function + " main.go:" + line, holder});
  }
  std::string file(const std::string& name) const { return directory.file(name); }

  TemporaryDirectory directory;
  std::unique_ptr<ProgramRun> run;
  std::string program, error;
  std::vector<Planted> planted;
};

class GoHolders : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    static std::map<std::string, std::unique_ptr<Recording>> recordings;  // one run serves all tests
    auto& recording = recordings[GetParam().toolchain + GetParam().name];
    if (recording == nullptr) recording = std::make_unique<Recording>(GetParam());
    if (recording->run != nullptr && !recording->run->skip_reason().empty())
      GTEST_SKIP() << recording->run->skip_reason();
    ASSERT_EQ(recording->error, "");
    recording_ = recording.get();
    ASSERT_GT(recording_->planted.size(), 1000U);
  }
  bool has_argument(const std::string& argument) const {
    return std::ranges::find(GetParam().arguments, argument) != GetParam().arguments.end();
  }
  // Else it is left to chance what was sampled.
  bool is_all_sampled() const { return !has_argument("rate=default") && !has_argument("rate=3000"); }
  bool is_stripped() const { return GetParam().flags.find("-s") != std::string::npos; }
  Result<Analysis> analyzed() const {
    return analyze(recording_->run->core_path(),
                   {.core = {.binary = recording_->program}, .threads = 2, .on_stage = {}});
  }
  DecodedProfile profile(const std::string& kind) const {
    const std::string file = recording_->file(kind + ".pb.gz");
    const CommandOutput output = run_heapwalk(
        {"profile", "--quiet", "--kind", kind, recording_->run->core_path(), recording_->program, "-o", file});
    EXPECT_EQ(output.status, 0) << output.err;
    std::ifstream bytes(file, std::ios::binary);
    std::ostringstream text;
    text << bytes.rdbuf();
    return decode_profile(text.str());
  }

  const Recording* recording_ = nullptr;
};

bool matches(const std::string& pattern, const std::string& name) {
  const size_t star = pattern.find('*');
  if (star == std::string::npos) return pattern == name;
  const std::string end = pattern.substr(star + 1);
  return name.starts_with(pattern.substr(0, star)) && name.ends_with(end) && name.size() >= pattern.size() - 1;
}

// A planted holder as the report names it: in a program without symbols variables are known by their place only, so the
// first object that one holds tells its name, and the others must agree.
class HolderNames {
 public:
  explicit HolderNames(bool is_stripped) : is_stripped_(is_stripped) {}

  bool agree(const std::string& planted, const std::string& found) {
    if (!is_stripped_ || !planted.starts_with("main.")) return matches(planted, found);
    if (!found.starts_with("held .")) return false;
    return found_[planted].insert(found).second ? found_[planted].size() == 1 && all_.insert(found).second : true;
  }

 private:
  bool is_stripped_;
  std::map<std::string, std::set<std::string>> found_;
  std::set<std::string> all_;
};

// Object by object: every sample of a planted object names its place and its holder.
TEST_P(GoHolders, EachSampledObject) {
  const auto analysis = analyzed();
  ASSERT_TRUE(analysis) << analysis.error().message;
  ASSERT_EQ(analysis->runtimes.size(), 1U);
  Diagnostics diagnostics;
  const auto sampled = analysis->runtimes[0]->sampled_objects(diagnostics);
  ASSERT_TRUE(sampled) << sampled.error().message;
  EXPECT_EQ(diagnostics.count("go_samples_differ"), 0U);
  std::map<Address, const Planted*> planted;
  for (const Planted& object : recording_->planted) {
    const auto id = analysis->objects.find_used(object.address);
    ASSERT_TRUE(id) << object.site;
    planted[analysis->objects.address(*id)] = &object;
  }
  ASSERT_EQ(planted.size(), recording_->planted.size());
  Holders holders(*analysis);
  HolderNames names(is_stripped());
  size_t seen = 0;
  for (const SampledObjects::Sample& sample : sampled->samples) {
    const auto at = planted.find(sample.object);
    if (at == planted.end()) continue;
    ++seen;
    const auto id = analysis->objects.find_used(sample.object);
    const std::string& holder = holders.name(holders.of(analysis->graph.node_of(*id)));
    EXPECT_TRUE(names.agree(at->second->holder, holder)) << at->second->holder << ", found " << holder;
    const OwnProfile& frames = sampled->frames;
    ASSERT_FALSE(sampled->sites[sample.site].locations.empty());
    const OwnProfile::Line& line = frames.locations[sampled->sites[sample.site].locations[0]].lines.at(0);
    EXPECT_EQ(fmt::format("{} main.go:{}", frames.functions[line.function].name, line.line), at->second->site);
  }
  EXPECT_GT(seen, 10U);
  if (is_all_sampled()) {
    EXPECT_EQ(seen, planted.size());
  }
}

using Cells = std::map<std::pair<std::string, std::string>, uint64_t>;

// The table of the report, place × holder: exactly what was planted, where everything was sampled.
TEST_P(GoHolders, TableOfTheReport) {
  if (!is_all_sampled()) GTEST_SKIP() << "what was sampled is left to chance";
  const CommandOutput output =
      run_heapwalk({"report", "--format", "json", recording_->run->core_path(), recording_->program});
  ASSERT_EQ(output.status, 0) << output.err;
  const Json report = parse_json(output.out);
  Cells found, wanted;
  std::map<std::string, std::string> as_planted;
  for (const Json& row : report["sites"].items()) {
    if (!row["function"].text().starts_with("main.new")) continue;
    EXPECT_EQ(row["estimated_objects"].number(), row["samples"].number());
    EXPECT_TRUE(row["file"].text().ends_with("/main.go"));
    found[{row["site"].text(), row["holder"].text()}] += row["samples"].number();
  }
  for (const Planted& object : recording_->planted) {
    std::string holder = object.holder;
    for (const auto& [cell, count] : found)
      if (cell.first == object.site && matches(object.holder, cell.second)) holder = cell.second;
    ++wanted[{object.site, holder}];
  }
  if (is_stripped()) {  // variables have no names: how many each holds of each place
    auto shape = [](const Cells& cells) {
      std::multiset<std::pair<std::string, uint64_t>> rows;
      for (const auto& [cell, count] : cells) rows.emplace(cell.first, count);
      return rows;
    };
    EXPECT_EQ(shape(found), shape(wanted));
  } else {
    EXPECT_EQ(found, wanted);
  }
  EXPECT_GT(wanted.size(), 15U);
}

std::string stack_text(const OwnProfile& frames, const std::vector<uint32_t>& locations, uint64_t size_bytes) {
  std::string text = fmt::format("{} bytes\n", size_bytes);
  for (uint32_t location : locations) {
    text += fmt::format("{:#x}", frames.locations[location].address.value);
    for (const OwnProfile::Line& line : frames.locations[location].lines)
      text += fmt::format(" {}:{}", frames.functions[line.function].name, line.line);
    text += "\n";
  }
  return text;
}

using Totals = std::map<std::string, std::pair<int64_t, int64_t>>;

// Over all holders, each stack has what the heap profile would say if all that was counted were published.
TEST_P(GoHolders, SumsAreThoseOfTheHeapProfile) {
  const auto analysis = analyzed();
  ASSERT_TRUE(analysis) << analysis.error().message;
  Diagnostics diagnostics;
  const auto made = make_holder_profile(*analysis, diagnostics);
  ASSERT_TRUE(made) << made.error().message;
  Totals found, wanted;
  for (const OwnProfile::Sample& sample : made->samples) {
    ASSERT_EQ(sample.values.size(), 2U);
    ASSERT_EQ(sample.labels.back().key, "bytes");
    auto& sum = found[stack_text(*made, sample.locations, static_cast<uint64_t>(sample.labels.back().number))];
    sum.first += sample.values[0];
    sum.second += sample.values[1];
  }
  const CoreDump& dump = *analysis->dump;
  const auto process = go::find_process(dump, diagnostics);
  ASSERT_TRUE(process);
  const go::Functions functions(dump.memory, process->layout, process->modules);
  const go::ProfileInputs inputs{dump, *process, functions};
  const auto rate = go::read_sampling_rate(inputs);
  ASSERT_TRUE(rate);
  EXPECT_EQ(made->period, *rate);
  OwnProfile frames;
  go::CallStacks stacks(functions, frames);
  const Address head = process->variable("runtime.mbuckets").value_or(Address{});
  for (go::Bucket& bucket : go::read_buckets(inputs, head, go::BucketType::memory, diagnostics)) {
    const auto locations = go::visible_locations(stacks, bucket.stack, process->layout.minor());
    const std::string text = stack_text(frames, locations, bucket.size_bytes);
    const auto counted = go::count_bucket(inputs, std::move(bucket));
    ASSERT_TRUE(counted);
    const go::MemoryCounts all = counted->all();
    if (all.allocations == all.frees) continue;
    const auto scaled =
        go::scale_sample(static_cast<int64_t>(all.allocations - all.frees),
                         static_cast<int64_t>(all.allocated_bytes - all.freed_bytes), *rate, go::exp_method(inputs));
    wanted[text].first += scaled.first;
    wanted[text].second += scaled.second;
  }
  EXPECT_GT(wanted.size(), 5U);
  EXPECT_EQ(found, wanted);
}

// Where nothing happened since the last collection, this is what `--kind heap` says, too.
TEST_P(GoHolders, SumsAreThoseOfTheKindHeap) {
  if (!has_argument("garbage=no")) GTEST_SKIP() << "something was allocated after the last collection";
  auto of_planted = [](const DecodedProfile& profile, int first) {
    std::map<uint64_t, std::string> names;
    for (const auto& function : profile.profile.function()) names[function.id()] = profile.text(function.name());
    std::map<uint64_t, std::string> leaf;  // by location
    for (const auto& location : profile.profile.location())
      if (location.line_size() > 0) leaf[location.id()] = names[location.line(0).function_id()];
    Totals sums;
    for (const auto& sample : profile.profile.sample()) {
      if (sample.location_id_size() == 0 || !leaf[sample.location_id(0)].starts_with("main.new")) continue;
      std::string stack;
      for (uint64_t id : sample.location_id()) stack += leaf[id] + "\n";
      if (sample.value(first) == 0) continue;
      sums[stack].first += sample.value(first);
      sums[stack].second += sample.value(first + 1);
    }
    return sums;
  };
  const Totals heap = of_planted(profile("heap"), 2), holders = of_planted(profile("holders"), 0);
  EXPECT_GT(heap.size(), 5U);
  EXPECT_EQ(holders, heap);
}

TEST_P(GoHolders, LabelsOfTheProfile) {
  const DecodedProfile decoded = profile("holders");
  ASSERT_EQ(decoded.error, "");
  EXPECT_EQ(decoded.sample_types(), (std::vector<std::string>{"inuse_objects/count", "inuse_space/bytes"}));
  EXPECT_EQ(decoded.text(decoded.profile.default_sample_type()), "inuse_space");
  std::set<std::string> paths;
  std::set<std::string> held;
  for (const auto& sample : decoded.profile.sample()) {
    ASSERT_EQ(sample.label_size(), 4);
    EXPECT_EQ(decoded.text(sample.label(0).key()), "holder");
    EXPECT_EQ(decoded.text(sample.label(1).key()), "type");
    EXPECT_EQ(decoded.text(sample.label(2).key()), "path");
    EXPECT_EQ(decoded.text(sample.label(3).key()), "bytes");
    for (int i = 0; i < 3; ++i) EXPECT_NE(sample.label(i).str(), 0);
    std::string holder = decoded.text(sample.label(0).str());
    const std::string path = decoded.text(sample.label(2).str());
    EXPECT_LT(path.size(), 2'000U);
    const bool is_shared = holder.ends_with(" (shared)");
    if (is_shared) holder.resize(holder.size() - 9);
    EXPECT_TRUE(path.starts_with(holder)) << holder << ": " << path;
    paths.insert(path);
    held.insert(holder);
  }
  EXPECT_LT(paths.size(), 400U);
  if (is_stripped() || !is_all_sampled()) return;
  EXPECT_TRUE(paths.contains("main.registry → array main.session*[] → […] main.session → buffer.array uint8[]"));
  EXPECT_TRUE(paths.contains("main.chain → main.session → next main.session ×…")) << testing::PrintToString(paths);
  for (const char* holder :
       {"main.cache", "main.registry", "main.chain", "main.queue", "main.callback", "main.value", "main.large"})
    EXPECT_TRUE(held.contains(holder)) << holder;
}

// What a person does with it.
TEST_P(GoHolders, PprofGroupsByHolder) {
  if (const std::string reason = why_no_go_pprof(); !reason.empty()) GTEST_SKIP() << reason;
  if (is_stripped() || !is_all_sampled()) GTEST_SKIP() << "not what was planted, by name";
  profile("holders");
  const std::string directory = recording_->directory.path().string(), file = recording_->file("holders.pb.gz");
  auto pprof = [&](std::vector<std::string> arguments) {
    arguments.push_back(file);
    const CommandOutput output = run_go_pprof(directory, std::move(arguments));
    EXPECT_EQ(output.status, 0) << output.err;
    return output.out;
  };
  const std::string top = pprof({"-top", "-trim=false", "-unit=B"});
  EXPECT_NE(top.find("Type: inuse_space"), std::string::npos) << top;
  EXPECT_NE(top.find("4194304B"), std::string::npos) << top;  // main.newLarge
  const std::string by_holder = pprof({"-tagroot=holder", "-top", "-cum", "-trim=false"});
  for (const char* holder : {" main.cache\n", " main.registry\n", " main.registry (shared)\n", " main.large\n"})
    EXPECT_NE(by_holder.find(holder), std::string::npos) << holder << by_holder;
  const std::string traces = pprof({"-tagroot=holder", "-traces"});
  EXPECT_NE(traces.find("main.large"), std::string::npos);
  const std::string tree = pprof({"-tagroot=holder", "-tagleaf=type", "-tree", "-trim=false"});
  EXPECT_NE(tree.find("| main.session"), std::string::npos) << tree;
  const std::string tags = pprof({"-tags"});
  for (const char* key : {" holder: ", " type: ", " path: ", " bytes: "})
    EXPECT_NE(tags.find(key), std::string::npos) << tags;
  const std::string list = pprof({"-tagfocus=holder=^main.large$", "-list", "^main.newLarge$"});
  EXPECT_NE(list.find("return make([]byte, 1<<20)"), std::string::npos) << list;
  EXPECT_NE(list.find("4MB"), std::string::npos) << list;
}

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const std::string& toolchain : go_toolchains()) {
    all.push_back({toolchain, "", {}, "every allocation"});
    all.push_back({toolchain, "-ldflags='-s -w'", {}, "stripped"});
    all.push_back({toolchain, "-gcflags='all=-N -l' -buildmode=pie", {"garbage=no"}, "nothing inlined, PIE"});
    all.push_back({toolchain, "", {"rate=default", "buffer=65536"}, "sampled as by default"});
    all.push_back({toolchain, "", {"rate=3000", "garbage=no", "count=200"}, "sampled, published"});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Builds, GoHolders, testing::ValuesIn(variants()));

// A silent empty profile would look like a program that holds nothing.
TEST(GoWithoutSamples, SaysSo) {
  if (go_toolchains().empty()) GTEST_SKIP() << "no Go on this machine";
  const Recording recording({"go", "", {"rate=0"}, "off"});
  if (recording.run != nullptr && !recording.run->skip_reason().empty()) GTEST_SKIP() << recording.run->skip_reason();
  ASSERT_EQ(recording.error, "");
  const std::string file = recording.file("holders.pb.gz");
  const CommandOutput output =
      run_heapwalk({"profile", "--kind", "holders", recording.run->core_path(), recording.program, "-o", file});
  EXPECT_EQ(output.status, 1);
  EXPECT_NE(output.err.find("no sampled objects: the program set runtime.MemProfileRate to 0"), std::string::npos)
      << output.err;
  EXPECT_FALSE(std::ifstream(file).good());
  const CommandOutput report = run_heapwalk({recording.run->core_path(), recording.program});
  EXPECT_EQ(report.status, 0) << report.err;
  EXPECT_EQ(report.out.find("Allocated at"), std::string::npos);
}

}  // namespace
}  // namespace heapwalk::test
