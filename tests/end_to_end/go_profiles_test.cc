// The profiles that heapwalk takes out of a core against those that the program wrote itself, a moment before: every stack,
// every frame, every value. The program is testdata/programs/go_profiles.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "tests/support/go_pprof.h"
#include "tests/support/go_toolchain.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/own_pprof.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Variant {
  std::string toolchain;
  std::string flags;                   // of go build
  std::vector<std::string> arguments;  // of the program
  std::string name;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.toolchain << " " << variant.name;
}

// A run of the program, and its core.
struct Recording {
  explicit Recording(const Variant& variant) {
    program = directory.file("go_profiles");
    error = build_go_program(variant.toolchain, HEAPWALK_SOURCE_DIR "/testdata/programs/go_profiles", program,
                             variant.flags);
    if (!error.empty()) return;
    RunOptions options{.arguments = {program, directory.path().string()}, .environment = {{"GOTRACEBACK", "crash"}}};
    options.arguments.insert(options.arguments.end(), variant.arguments.begin(), variant.arguments.end());
    run = std::make_unique<ProgramRun>(options);
    error = run->error();
    const std::string version = go_version(variant.toolchain);
    if (version.starts_with("go1.")) release = std::atoi(version.c_str() + 4);
  }

  DecodedProfile written(const std::string& kind) const { return decode_profile(read_file(file(kind + ".pb.gz"))); }
  std::string file(const std::string& name) const { return directory.file(name); }

  // What heapwalk says.
  CommandOutput profile(const std::string& kind, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"profile", "--kind", kind, run->core_path(), program};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_heapwalk(arguments);
  }
  DecodedProfile rebuilt(const std::string& kind) const {
    const CommandOutput output = profile(kind, {"-o", file("rebuilt_" + kind + ".pb.gz")});
    EXPECT_EQ(output.status, 0) << output.err;
    EXPECT_EQ(output.err, "");
    return decode_profile(read_file(file("rebuilt_" + kind + ".pb.gz")));
  }

  TemporaryDirectory directory;
  std::unique_ptr<ProgramRun> run;
  std::string program;
  std::string error;
  int release = 0;
};

class GoProfiles : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    static std::map<std::string, std::unique_ptr<Recording>> recordings;  // one run serves all tests
    auto& recording = recordings[GetParam().toolchain + GetParam().name];
    if (recording == nullptr) recording = std::make_unique<Recording>(GetParam());
    if (recording->run != nullptr && !recording->run->skip_reason().empty())
      GTEST_SKIP() << recording->run->skip_reason();
    ASSERT_EQ(recording->error, "");
    recording_ = recording.get();
  }
  bool has_argument(const std::string& argument) const {
    return std::ranges::find(GetParam().arguments, argument) != GetParam().arguments.end();
  }

  const Recording* recording_ = nullptr;
};

using Stacks = std::map<std::string, std::vector<int64_t>>;

void expect_same_head(const DecodedProfile& written, const DecodedProfile& rebuilt) {
  ASSERT_EQ(written.error, "");
  ASSERT_EQ(rebuilt.error, "");
  EXPECT_EQ(rebuilt.sample_types(), written.sample_types());
  EXPECT_EQ(rebuilt.period_type(), written.period_type());
}

void expect_same_stacks(const Stacks& written, const Stacks& rebuilt) {
  size_t shown = 0;
  for (const auto& [stack, values] : written) {
    const auto found = rebuilt.find(stack);
    if (found != rebuilt.end() && found->second == values) continue;
    if (++shown > 3) continue;
    ADD_FAILURE() << "written " << testing::PrintToString(values) << ", rebuilt "
                  << (found == rebuilt.end() ? "not" : testing::PrintToString(found->second)) << ":\n"
                  << stack;
  }
  for (const auto& [stack, values] : rebuilt)
    if (!written.contains(stack) && ++shown <= 6)
      ADD_FAILURE() << "rebuilt " << testing::PrintToString(values) << ", not written:\n" << stack;
  EXPECT_EQ(shown, 0U) << "stacks that differ";
}

// Writing a profile allocates: new stacks, of which nothing is published yet.
Stacks without_zeros(Stacks stacks) {
  std::erase_if(stacks, [](const auto& entry) {
    return std::ranges::all_of(entry.second, [](int64_t value) { return value == 0; });
  });
  return stacks;
}

TEST_P(GoProfiles, HeapAndAllocs) {
  const bool published = !has_argument("collect=no");
  for (const char* kind : {"heap", "allocs"}) {
    SCOPED_TRACE(kind);
    const DecodedProfile written = recording_->written(kind), rebuilt = recording_->rebuilt(kind);
    expect_same_head(written, rebuilt);
    EXPECT_GT(written.by_stack().size(), has_argument("rate=524288") ? 5U : 30U) << "the program did too little";
    if (published) {
      expect_same_stacks(without_zeros(written.by_stack()), without_zeros(rebuilt.by_stack()));
      EXPECT_EQ(rebuilt.totals(), written.totals());
      const Stacks all = rebuilt.by_stack();
      for (const auto& [stack, values] : written.by_stack()) EXPECT_TRUE(all.contains(stack)) << stack;
      continue;
    }
    // Everything counts at once: what the program allocated for the profile is in the core's, later than in its own.
    Stacks later = rebuilt.by_stack(), own = written.by_stack();
    auto is_of_profile = [](const auto& entry) {
      return entry.first.find("main.allocate") == std::string::npos &&
             entry.first.find("main.contend") == std::string::npos;
    };
    std::erase_if(later, is_of_profile);
    std::erase_if(own, is_of_profile);
    EXPECT_GT(own.size(), 30U);
    expect_same_stacks(own, later);
  }
  EXPECT_EQ(recording_->rebuilt("allocs").text(recording_->rebuilt("allocs").profile.default_sample_type()),
            "alloc_space");
}

TEST_P(GoProfiles, Goroutines) {
  const DecodedProfile written = recording_->written("goroutine"), rebuilt = recording_->rebuilt("goroutine");
  expect_same_head(written, rebuilt);
  // The main goroutine wrote the one and died in the other.
  auto others = [](Stacks stacks) {
    std::erase_if(stacks, [](const auto& entry) { return entry.first.find("main.main ") != std::string::npos; });
    return stacks;
  };
  EXPECT_GT(others(written.by_stack()).size(), 10U);
  expect_same_stacks(others(written.by_stack()), others(rebuilt.by_stack("state")));
  EXPECT_EQ(rebuilt.totals(), written.totals());
}

// Wait reasons against the headings of runtime.Stack: "goroutine 7 [chan receive, 2 minutes]:". Goroutine 1 is the one that
// wrote them.
TEST_P(GoProfiles, WaitReasons) {
  std::map<std::string, int64_t> printed, labelled;
  std::istringstream stacks(read_file(recording_->file("stacks.txt")));
  for (std::string line; std::getline(stacks, line);) {
    const size_t open = line.find(" ["), close = line.find_first_of(",]");
    if (line.starts_with("goroutine ") && !line.starts_with("goroutine 1 ") && close != std::string::npos)
      ++printed[line.substr(open + 2, close - open - 2)];
  }
  for (const auto& [stack, values] : recording_->rebuilt("goroutine").by_stack()) {
    constexpr std::string_view kLabel = "[state=";
    const size_t label = stack.find(kLabel);
    ASSERT_NE(label, std::string::npos) << stack;
    if (stack.find(" main.main ") != std::string::npos) continue;
    const size_t begin = label + kLabel.size();
    labelled[stack.substr(begin, stack.find("]\n", begin) - begin)] += values[0];
  }
  EXPECT_GT(printed.size(), 5U);
  EXPECT_EQ(labelled, printed);
}

TEST_P(GoProfiles, Threads) {
  const DecodedProfile written = recording_->written("threadcreate"), rebuilt = recording_->rebuilt("threadcreate");
  expect_same_head(written, rebuilt);
  // Since Go 1.23 the program writes a stack that is not there as 32 null addresses, and a short one filled up with them.
  Stacks trimmed;
  const std::string null_address = fmt::format("{:#x}", UINT64_MAX);
  for (const auto& [stack, values] : written.by_stack()) {
    const size_t end = stack.find(null_address);
    Stacks::mapped_type& sum = trimmed[stack.substr(0, end)];
    sum.resize(1);
    sum[0] += values[0];
  }
  Stacks own = rebuilt.by_stack();
  own.try_emplace("", std::vector<int64_t>{0});
  trimmed.try_emplace("", std::vector<int64_t>{0});
  EXPECT_GE(own[""], trimmed[""]);  // a thread more may have been needed to write the other profiles
  EXPECT_LE(own[""][0], trimmed[""][0] + 2);
  own.erase("");
  trimmed.erase("");
  expect_same_stacks(trimmed, own);
}

TEST_P(GoProfiles, BlockAndMutex) {
  for (const char* kind : {"block", "mutex"}) {
    SCOPED_TRACE(kind);
    const DecodedProfile written = recording_->written(kind), rebuilt = recording_->rebuilt(kind);
    expect_same_head(written, rebuilt);
    EXPECT_GT(written.by_stack().size(), 2U);
    EXPECT_GT(written.totals()[1], 1'000'000) << "the program did not wait";
    expect_same_stacks(written.by_stack(), rebuilt.by_stack());
  }
}

// What a person does with it.
TEST_P(GoProfiles, PprofReadsThem) {
  if (const std::string reason = why_no_go_pprof(); !reason.empty()) GTEST_SKIP() << reason;
  for (const char* kind : {"heap", "goroutine", "block"}) recording_->rebuilt(kind);
  const std::string directory = recording_->directory.path().string();
  auto pprof = [&](std::vector<std::string> arguments) {
    const CommandOutput output = run_go_pprof(directory, std::move(arguments));
    EXPECT_EQ(output.status, 0) << output.err;
    return output.out;
  };
  const std::string heap = recording_->file("rebuilt_heap.pb.gz"), own = recording_->file("heap.pb.gz");
  const std::string top = pprof({"-top", "-sample_index=alloc_space", heap});
  EXPECT_NE(top.find("main.smallest"), std::string::npos) << top;
  EXPECT_EQ(top.substr(top.find("flat%")), [&] {
    const std::string of_own = pprof({"-top", "-sample_index=alloc_space", own});
    return of_own.substr(of_own.find("flat%"));
  }());
  const std::string list = pprof({"-list", "main.middle$", heap});
  EXPECT_NE(list.find("func middle(n int) { kept = append(kept, small(n)) }"), std::string::npos) << list;
  const std::string difference = pprof({"-top", "-diff_base", own, heap});
  EXPECT_NE(difference.find("Showing nodes accounting for 0, "), std::string::npos) << difference;
  EXPECT_NE(pprof({"-tags", recording_->file("rebuilt_goroutine.pb.gz")}).find("chan receive"), std::string::npos);
  const std::string traces = pprof({"-traces", recording_->file("rebuilt_block.pb.gz")});
  EXPECT_NE(traces.find("main.hold"), std::string::npos) << traces;
}

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const std::string& toolchain : go_toolchains()) {
    all.push_back({toolchain, "", {}, "plain"});
    all.push_back({toolchain, "-gcflags='all=-N -l'", {"rate=1"}, "every allocation, nothing inlined"});
    all.push_back({toolchain, "-buildmode=pie", {"rate=524288"}, "as by default, PIE"});
    all.push_back({toolchain, "", {"collect=no", "end=crash"}, "no collection, crash"});
    all.push_back({toolchain, "-ldflags='-s -w'", {}, "stripped"});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Builds, GoProfiles, testing::ValuesIn(variants()));

// The statistics come from a copy of the process: a thread that starts in between would count for itself.
class GoStatistics : public GoProfiles {};

// What no cache holds back, or is counted with what the caches hold.
void expect_counters(const Json& ours, const Json& theirs) {
  for (const char* name : {"Alloc", "TotalAlloc", "Mallocs", "Frees", "HeapAlloc", "HeapObjects", "LastGC",
                           "PauseTotalNs", "NumGC", "NumForcedGC"})
    EXPECT_EQ(ours[name].number(), theirs[name].number()) << name;
}

void expect_same_memory(const Json& ours, const Json& theirs) {
  for (const char* name :
       {"Sys", "HeapSys", "HeapIdle", "HeapInuse", "HeapReleased", "StackInuse", "StackSys", "MSpanInuse", "MSpanSys",
        "MCacheInuse", "MCacheSys", "BuckHashSys", "GCSys", "OtherSys", "NextGC"})
    EXPECT_EQ(ours[name].number(), theirs[name].number()) << name;
}

// Where the process went on and read its statistics later, caches were emptied, stacks cut and spans freed meanwhile: within the
// heap and its stacks memory only changes its use. The run-time's own may have grown by a few pieces of 256 KiB.
void expect_after_emptying(const Json& ours, const Json& theirs) {
  constexpr uint64_t kPiece = 256 << 10;
  auto grown = [&](const char* name) { return theirs[name].number() - ours[name].number(); };
  EXPECT_EQ(grown("HeapSys") + grown("StackSys"), 0U);
  EXPECT_EQ(grown("Sys") % kPiece, 0U);
  EXPECT_LE(grown("Sys"), 4 * kPiece);
  EXPECT_EQ(ours["MCacheInuse"].number(), theirs["MCacheInuse"].number());
}

TEST_P(GoStatistics, Statistics) {
  const Json written = parse_json(read_file(recording_->file("memstats.json")));
  const CommandOutput output = recording_->profile("memstats", {"--format", "json"});
  ASSERT_EQ(output.status, 0) << output.err;
  const Json rebuilt = parse_json(output.out);
  const Json rows = rebuilt["memstats"];
  expect_counters(rows, written);
  has_argument("end=early") ? expect_after_emptying(rows, written) : expect_same_memory(rows, written);
  EXPECT_EQ(rows["GCCPUFraction"].real(), written["GCCPUFraction"].real());
  EXPECT_TRUE(rows["GCPercent"].is_null()) << "the collector is off at the end";
  EXPECT_EQ(rows["MemoryLimit"].number(), uint64_t{3} << 30);
  const auto pauses = written["pauses"].items();
  ASSERT_EQ(rebuilt["pauses"].items().size(), pauses.size());
  for (size_t i = 0; i < pauses.size(); ++i) {
    EXPECT_EQ(rebuilt["pauses"][i]["end_unix_ns"].number(), pauses[i][0].number());
    EXPECT_EQ(rebuilt["pauses"][i]["duration_ns"].number(), pauses[i][1].number());
  }
  const auto sizes = written["by_size"].items();
  EXPECT_EQ(sizes.size(), 60U);
  for (size_t i = 0; i < sizes.size(); ++i) {
    const Json ours = rebuilt["size_classes"][i];
    EXPECT_EQ(ours["size_bytes"].number(), sizes[i][0].number());
    EXPECT_EQ(ours["allocations"].number(), sizes[i][1].number()) << sizes[i][0].number();
    EXPECT_EQ(ours["frees"].number(), sizes[i][2].number()) << sizes[i][0].number();
  }
}

// Of readable mappings around an address in the heap, far from all others, by smaps: "c000000000-c000400000 rw-p …", then "Rss: … kB".
uint64_t resident_bytes(const std::string& smaps, uint64_t heap_address) {
  constexpr uint64_t kAround = 256 << 20;
  std::istringstream lines(smaps);
  uint64_t sum = 0;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    uint64_t begin = 0, end = 0, kilobytes = 0;
    char readable = '-';
    if (std::sscanf(line.c_str(), "%lx-%lx %c", &begin, &end, &readable) == 3)
      inside = begin + kAround > heap_address && end < heap_address + kAround && readable == 'r';
    else if (inside && std::sscanf(line.c_str(), "Rss: %lu kB", &kilobytes) == 1)
      sum += kilobytes * 1024;
  }
  return sum;
}

// The kernel's side: what smaps counted as resident a moment before.
TEST_P(GoStatistics, ResidentMemory) {
  const CommandOutput output = recording_->profile("memstats", {"--format", "json"});
  ASSERT_EQ(output.status, 0) << output.err;
  const Json balance = parse_json(output.out)["balance"];
  const Json written = parse_json(read_file(recording_->file("memstats.json")));
  const uint64_t resident = resident_bytes(read_file(recording_->file("smaps.txt")), written["heap_address"].number());
  EXPECT_GT(resident, 1U << 20);
  // The last calls may touch pages of stacks that nothing had touched before.
  constexpr uint64_t kLater = 16 * 4096;
  EXPECT_LE(balance["resident_bytes"].number(), resident + kLater);
  if (output.out.find("\"is_resident_exact\": true") == std::string::npos) return;
  // The run-time's scavenger gives pages back in the background, a few at a time.
  EXPECT_GE(balance["resident_bytes"].number() + kLater, resident);
}

std::vector<Variant> statistics_variants() {
  std::vector<Variant> all;
  for (const std::string& toolchain : go_toolchains()) {
    all.push_back({toolchain, "", {"end=fork"}, "after ReadMemStats"});
    all.push_back({toolchain, "", {"end=early"}, "before ReadMemStats"});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Builds, GoStatistics, testing::ValuesIn(statistics_variants()));

// Where there is no profile, one line says why.
class GoNoProfiles : public testing::Test {
 protected:
  static std::string error_of(const Recording& recording, const std::string& kind) {
    const CommandOutput output = recording.profile(kind);
    EXPECT_EQ(output.status, 1) << kind;
    EXPECT_EQ(output.out, "") << kind;
    EXPECT_EQ(std::ranges::count(output.err, '\n'), 1) << output.err;
    return output.err;
  }
};

TEST_F(GoNoProfiles, OneLineSaysWhy) {
  if (go_toolchains().empty()) GTEST_SKIP() << "go is not installed";
  const Recording recording({go_toolchains().front(), "", {"rate=0", "waits=no"}, ""});
  if (!recording.run->skip_reason().empty()) GTEST_SKIP() << recording.run->skip_reason();
  ASSERT_EQ(recording.error, "");
  EXPECT_NE(error_of(recording, "heap").find("the program set runtime.MemProfileRate to 0"), std::string::npos);
  EXPECT_NE(error_of(recording, "block").find("never called runtime.SetBlockProfileRate"), std::string::npos);
  EXPECT_NE(error_of(recording, "mutex").find("never called runtime.SetMutexProfileFraction"), std::string::npos);
  EXPECT_EQ(run_heapwalk({"profile", recording.run->core_path()}).status, 2) << "--kind is missing";
  EXPECT_EQ(run_heapwalk({"profile", "--kind", "cpu", recording.run->core_path()}).status, 2);
  EXPECT_EQ(recording.profile("heap", {"--format", "json"}).status, 2);
  EXPECT_EQ(recording.profile("memstats", {"--format", "tsv"}).status, 2);
}

// The time-stamp counter's rate was never measured: delays stay in its cycles, and this is said.
TEST_F(GoNoProfiles, AnUnknownClockLeavesCycles) {
  if (go_toolchains().empty()) GTEST_SKIP() << "go is not installed";
  const Recording recording({go_toolchains().front(), "", {"clock=no"}, ""});
  if (!recording.run->skip_reason().empty()) GTEST_SKIP() << recording.run->skip_reason();
  ASSERT_EQ(recording.error, "");
  const CommandOutput output = recording.profile("block");
  ASSERT_EQ(output.status, 0) << output.err;
  EXPECT_NE(output.err.find("delays are in its cycles"), std::string::npos) << output.err;
  const DecodedProfile profile = decode_profile(output.out);
  ASSERT_EQ(profile.error, "");
  EXPECT_EQ(profile.sample_types(), (std::vector<std::string>{"contentions/count", "delay/cycles"}));
  EXPECT_GT(profile.totals()[1], 1'000'000);
}

}  // namespace
}  // namespace heapwalk::test
