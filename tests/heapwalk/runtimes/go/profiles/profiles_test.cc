// Profiles out of the recorded cores of nine releases, against what the program wrote down beside them; and out of the same
// cores after their lists were damaged.
#include "heapwalk/runtimes/go/profiles/profiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "heapwalk/own_statistics.h"
#include "heapwalk/runtimes/go/profiles/profile_buckets.h"
#include "heapwalk/runtimes/go/profiles/sample_scale.h"
#include "heapwalk/runtimes/go/program/record.h"
#include "tests/support/patched_core.h"
#include "tests/support/recorded_core.h"

namespace heapwalk::go {
namespace {

constexpr OwnProfileKind kKinds[] = {OwnProfileKind::heap,         OwnProfileKind::allocs, OwnProfileKind::goroutine,
                                     OwnProfileKind::threadcreate, OwnProfileKind::block,  OwnProfileKind::mutex};

class GoRecordedProfiles : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    recorded_ = std::make_unique<test::RecordedCore>(GetParam());
    ASSERT_EQ(recorded_->error(), "");
    auto dump = open_core_dump(recorded_->core_path(), {.binary = recorded_->binary()});
    ASSERT_TRUE(dump) << dump.error().message;
    dump_ = std::make_unique<CoreDump>(*std::move(dump));
  }
  OwnProfile profile(OwnProfileKind kind) const {
    Diagnostics diagnostics;
    auto profile = read_profile(*dump_, kind, diagnostics);
    EXPECT_TRUE(profile) << profile.error().message;
    EXPECT_TRUE(std::ranges::none_of(diagnostics.all(), [](const Diagnostic& entry) {
      return entry.code.starts_with("go_profile") || entry.code.starts_with("go_thread");
    }));
    return profile ? *std::move(profile) : OwnProfile{};
  }

  std::unique_ptr<test::RecordedCore> recorded_;
  std::unique_ptr<CoreDump> dump_;
};

using Values = std::vector<int64_t>;

// profile.tsv: allocated bytes, freed bytes, allocated objects, freed objects, return addresses.
TEST_P(GoRecordedProfiles, HeapIsWhatTheProgramCounted) {
  const auto rate = static_cast<int64_t>(recorded_->truth().memstats["MemProfileRate"].number());
  ASSERT_GT(rate, 1);
  std::multiset<Values> wanted, found;
  std::ifstream rows(recorded_->profile_path());
  for (std::string row; std::getline(rows, row);) {
    int64_t allocated = 0, freed = 0, allocations = 0, frees = 0;
    ASSERT_EQ(std::sscanf(row.c_str(), "%ld\t%ld\t%ld\t%ld", &allocated, &freed, &allocations, &frees), 4) << row;
    const auto all = scale_sample(allocations, allocated, rate, ExpMethod::fused);
    const auto kept = scale_sample(allocations - frees, allocated - freed, rate, ExpMethod::fused);
    if (allocations != 0) wanted.insert({all.first, all.second, kept.first, kept.second, allocated / allocations});
  }
  const OwnProfile heap = profile(OwnProfileKind::heap);
  EXPECT_EQ(heap.period, rate);
  for (const OwnProfile::Sample& sample : heap.samples) {
    EXPECT_FALSE(sample.locations.empty());
    if (std::ranges::all_of(sample.values, [](int64_t value) { return value == 0; })) continue;
    ASSERT_EQ(sample.labels.size(), 1U);
    Values values = sample.values;
    values.push_back(sample.labels[0].number);
    found.insert(values);
  }
  EXPECT_GT(found.size(), 20U);
  EXPECT_EQ(found, wanted);
  for (const OwnProfile::Location& location : heap.locations) EXPECT_FALSE(location.lines.empty());
  EXPECT_EQ(profile(OwnProfileKind::allocs).samples.size(), heap.samples.size());
}

// stacks.txt: "goroutine 7 [chan receive]:", then a function per line, "main.wait(0x1)", each before a line with its place.
// In the core the copied process has the same goroutines; the first one went on to copy it. Tracebacks leave out the outer frames
// of the run-time and the middle of deep stacks, so the innermost function of the program stands for each.
std::map<std::string, int64_t> goroutines_of_traceback(const std::string& text) {
  std::map<std::string, int64_t> counts;
  std::istringstream stacks(text);
  std::string state;
  bool is_first = false, is_known = true;
  for (std::string line; std::getline(stacks, line);) {
    if (line.starts_with("goroutine ")) {
      const size_t open = line.find('['), close = line.find_first_of(",]");
      state = line.substr(open + 1, close - open - 1);
      is_first = line.starts_with("goroutine 1 ");
      is_known = false;
    } else if (line.starts_with("main.") && !is_known) {
      is_known = true;
      if (!is_first) ++counts[state + " " + line.substr(0, line.rfind('('))];
    }
  }
  return counts;
}

TEST_P(GoRecordedProfiles, GoroutinesAreThoseOfTheTraceback) {
  std::map<std::string, int64_t> found;
  const OwnProfile goroutines = profile(OwnProfileKind::goroutine);
  for (const OwnProfile::Sample& sample : goroutines.samples) {
    const auto label = std::ranges::find(sample.labels, "state", &OwnProfile::Label::key);
    ASSERT_NE(label, sample.labels.end());
    std::string innermost;
    bool is_first = false;
    for (uint32_t location : sample.locations)
      for (const auto& line : goroutines.locations[location].lines) {
        const std::string name = printed_function_name(goroutines.functions[line.function].name);
        if (innermost.empty() && name.starts_with("main.")) innermost = name;
        is_first = is_first || name == "runtime.main";
      }
    if (!innermost.empty() && !is_first) found[label->text + " " + innermost] += sample.values[0];
  }
  const auto wanted = goroutines_of_traceback(recorded_->truth().stacks);
  EXPECT_GT(wanted.size(), 12U);
  EXPECT_EQ(found, wanted);
}

TEST_P(GoRecordedProfiles, StatisticsAreThoseOfReadMemStats) {
  Diagnostics diagnostics;
  const auto statistics = read_own_statistics(*dump_, diagnostics);
  ASSERT_TRUE(statistics) << statistics.error().message;
  const test::Json& written = recorded_->truth().memstats;
  size_t compared = 0;
  std::map<std::string, uint64_t> after_by;
  for (const Statistic& row : statistics->rows) {
    const std::string name(row.name);
    if (!written.has(name)) continue;
    ++compared;
    if (name == "BuckHashSys" || name == "OtherSys")  // the program went on, and a new stack was counted in a profile:
      after_by[name] = row.value - written[name].number();  // memory that went from the one to the other
    else
      EXPECT_EQ(static_cast<double>(row.value), written[name].real()) << name;
  }
  EXPECT_GT(compared, 22U);
  EXPECT_EQ(after_by["BuckHashSys"] + after_by["OtherSys"], 0U);
  EXPECT_LT(after_by["BuckHashSys"], 1'000U);
  ASSERT_FALSE(statistics->pauses.empty());
  EXPECT_EQ(static_cast<double>(statistics->pauses[0].duration_ns), written["LastPauseNs"].real());
  EXPECT_EQ(static_cast<double>(statistics->pauses[0].end_unix_ns), written["LastPauseEnd"].real());
  for (size_t i = 1; i < written["BySize"].items().size(); ++i) {
    const test::Json size = written["BySize"][i];
    const auto& ours = statistics->size_classes[i - 1];
    EXPECT_EQ(ours.size_bytes, size[0].number());
    EXPECT_EQ(ours.allocations, size[1].number()) << ours.size_bytes;
    EXPECT_EQ(ours.frees, size[2].number()) << ours.size_bytes;
  }
  const MemoryBalance& balance = statistics->balance;
  EXPECT_GE(balance.mapped_bytes, balance.resident_bytes);
  EXPECT_GT(balance.resident_bytes, balance.object_bytes / 4);
}

// Every word that leads from one thing to the next, pointed at itself, at nothing, or made absurd: all profiles come to an end.
TEST_P(GoRecordedProfiles, DamagedListsEnd) {
  Diagnostics ignored;
  const auto process = find_process(*dump_, ignored);
  ASSERT_TRUE(process);
  const Layout& layout = process->layout;
  auto at = [&](const char* name) { return process->variable(name).value_or(Address{}); };
  auto head = [&](const char* name) { return dump_->memory.read_pointer(at(name)).value_or(Address{}); };
  const Address bucket = head("runtime.mbuckets"), m = head("runtime.allm");
  ASSERT_TRUE(bucket && m);
  const std::pair<Address, uint64_t> pokes[] = {
      {bucket + layout.offset(Field::bucket_allnext), bucket.value},
      {bucket + layout.offset(Field::bucket_allnext), 0x10},
      {bucket + layout.offset(Field::bucket_nstk), UINT64_MAX},
      {bucket + layout.offset(Field::bucket_nstk), 1024},
      {bucket + layout.offset(Field::bucket_typ), 2},
      {bucket + layout.offset(Field::bucket_size), UINT64_MAX},
      {bucket + layout.offset(Field::bucket_sizeof), UINT64_MAX},  // the first return address
      {bucket + layout.offset(Field::bucket_sizeof), 0},
      {at("runtime.mbuckets"), at("runtime.mbuckets").value},
      {at("runtime.mProfCycle"), UINT64_MAX},
      {at("runtime.MemProfileRate"), UINT64_MAX},
      {at("runtime.MemProfileRate"), INT64_MAX},
      {m + layout.offset(Field::m_alllink), m.value},
      {m + layout.offset(Field::m_createstack), UINT64_MAX},
      {at("runtime.allm"), UINT64_MAX - 7},
      {at("runtime.allgs") + 8, UINT64_MAX},
      {at("runtime.allp") + 8, UINT64_MAX},
      {at("runtime.memstats"), UINT64_MAX},
      {at("runtime.gcController") + 8, UINT64_MAX},
      {at("runtime.debug") + (layout.has(Field::debug_profstackdepth) ? layout.offset(Field::debug_profstackdepth) : 0),
       UINT64_MAX},
  };
  auto dump = open_core_dump(recorded_->core_path(), {.binary = recorded_->binary()});
  ASSERT_TRUE(dump);
  PatchedCore core(*std::move(dump));
  for (const auto& [address, value] : pokes) {
    const auto before = core.dump().memory.read_word(address);
    ASSERT_TRUE(before) << fmt::format("{:#x}", address.value);
    EXPECT_TRUE(core.poke(address, value)) << fmt::format("{:#x}", address.value);
    for (OwnProfileKind kind : kKinds) {
      Diagnostics diagnostics;
      if (const auto profile = read_profile(core.dump(), kind, diagnostics))
        for (const OwnProfile::Sample& sample : profile->samples) {
          EXPECT_EQ(sample.values.size(), profile->sample_types.size());
          for (uint32_t location : sample.locations) ASSERT_LT(location, profile->locations.size());
        }
    }
    Diagnostics diagnostics;
    std::ignore = read_own_statistics(core.dump(), diagnostics);
    core.poke(address, *before);
  }
}

// What was lost is said.
TEST_P(GoRecordedProfiles, ALoopIsSaidToBeOne) {
  Diagnostics ignored;
  const auto process = find_process(*dump_, ignored);
  ASSERT_TRUE(process);
  const Address bucket =
      dump_->memory.read_pointer(process->variable("runtime.mbuckets").value_or(Address{})).value_or(Address{});
  auto dump = open_core_dump(recorded_->core_path(), {.binary = recorded_->binary()});
  ASSERT_TRUE(dump);
  PatchedCore core(*std::move(dump));
  ASSERT_TRUE(core.poke(bucket + process->layout.offset(Field::bucket_allnext), bucket.value));
  Diagnostics diagnostics;
  const auto heap = read_profile(core.dump(), OwnProfileKind::heap, diagnostics);
  ASSERT_TRUE(heap);
  EXPECT_EQ(heap->samples.size(), 1U);
  EXPECT_EQ(diagnostics.count("go_profile_bucket_unread"), 1U);
}

INSTANTIATE_TEST_SUITE_P(Releases, GoRecordedProfiles, testing::ValuesIn(test::recorded_go_minors()));

}  // namespace
}  // namespace heapwalk::go
