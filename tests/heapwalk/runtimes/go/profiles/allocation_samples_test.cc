// Which objects were sampled and where they were allocated, out of the recorded cores of nine releases: against the heap dump
// that the program wrote of the same moment, and against the run-time's own counts. Then out of damaged ones.
#include "heapwalk/runtimes/go/profiles/allocation_samples.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "heapwalk/runtimes/go/profiles/memory_counts.h"
#include "heapwalk/runtimes/go/program/record.h"
#include "tests/support/patched_core.h"
#include "tests/support/recorded_core.h"

namespace heapwalk::go {
namespace {

// Everything on the way to the samples of a core.
class Reading {
 public:
  explicit Reading(const CoreDump& dump)
      : process(find_process(dump, diagnostics)), layout(process->layout), dump_(dump) {
    heap_ = Heap::read(dump, *process, diagnostics);
    functions_ = std::make_unique<Functions>(dump.memory, process->layout, process->modules);
  }
  std::vector<Special> specials() { return heap_ ? read_specials(*heap_, diagnostics) : std::vector<Special>{}; }
  Result<SampledObjects> samples() { return read_allocation_samples(inputs(), specials(), diagnostics); }
  ProfileInputs inputs() const { return {dump_, *process, *functions_}; }
  Address variable(const char* name) const { return process->variable(name).value_or(Address{}); }

  Diagnostics diagnostics;
  std::optional<Process> process;
  const Layout& layout;

 private:
  const CoreDump& dump_;
  std::optional<Heap> heap_;
  std::unique_ptr<Functions> functions_;
};

class GoAllocationSamples : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    recorded_ = std::make_unique<test::RecordedCore>(GetParam());
    ASSERT_EQ(recorded_->error(), "");
    auto dump = open_core_dump(recorded_->core_path(), {.binary = recorded_->binary()});
    ASSERT_TRUE(dump) << dump.error().message;
    dump_ = std::make_unique<CoreDump>(*std::move(dump));
  }
  std::unique_ptr<PatchedCore> copy() const {
    auto dump = open_core_dump(recorded_->core_path(), {.binary = recorded_->binary()});
    return dump ? std::make_unique<PatchedCore>(*std::move(dump)) : nullptr;
  }

  std::unique_ptr<test::RecordedCore> recorded_;
  std::unique_ptr<CoreDump> dump_;
};

std::set<std::string> functions_of(const SampledObjects& sampled, uint32_t site) {
  std::set<std::string> names;
  for (uint32_t location : sampled.sites[site].locations)
    for (const OwnProfile::Line& line : sampled.frames.locations[location].lines)
      names.insert(sampled.frames.functions[line.function].name);
  return names;
}

TEST_P(GoAllocationSamples, AreThoseOfTheHeapDump) {
  Reading reading(*dump_);
  const auto sampled = reading.samples();
  ASSERT_TRUE(sampled) << sampled.error().message;
  const test::GoHeapDump& truth = recorded_->truth().heap;
  std::map<uint64_t, const test::GoHeapDump::Site*> sites;
  for (const auto& site : truth.sites) sites[site.bucket] = &site;
  std::map<Address, uint64_t> bucket_of;  // by slot
  for (const auto& sample : truth.samples)
    if (const auto* object = truth.find(sample.object)) bucket_of[object->address] = sample.bucket;
  EXPECT_GT(bucket_of.size(), 100U);
  ASSERT_EQ(sampled->samples.size(), truth.samples.size());
  std::map<uint64_t, uint32_t> site_of;
  for (const SampledObjects::Sample& sample : sampled->samples) {
    const auto* object = truth.find(sample.object);
    ASSERT_NE(object, nullptr);
    ASSERT_TRUE(bucket_of.contains(object->address));
    const uint64_t bucket = bucket_of[object->address];
    const auto [known, is_new] = site_of.try_emplace(bucket, sample.site);
    EXPECT_EQ(known->second, sample.site);
    if (!is_new || !sites.contains(bucket)) continue;
    EXPECT_EQ(sampled->sites[sample.site].size_bytes, sites[bucket]->size);
    // Of calls that were inlined the heap dump says only what they were inlined into.
    const std::set<std::string> functions = functions_of(*sampled, sample.site);
    for (const auto& line : sites[bucket]->stack) {
      if (line.function.starts_with("main.")) {
        EXPECT_TRUE(functions.contains(line.function)) << line.function;
      }
    }
  }
  std::set<uint32_t> distinct;
  for (const auto& [bucket, site] : site_of) distinct.insert(site);
  EXPECT_EQ(distinct.size(), site_of.size());
  EXPECT_EQ(distinct.size(), sampled->sites.size());
}

// Bucket by bucket: allocations − frees over the published counts and all that are to come, read without what is tested.
TEST_P(GoAllocationSamples, AreAsManyAsTheRunTimeCounted) {
  Reading reading(*dump_);
  std::map<uint64_t, uint64_t> notes, counted;
  for (const Special& special : reading.specials())
    if (special.kind == SpecialKind::profile)
      ++notes[dump_->memory.read_word(special.address + reading.layout.offset(Field::specialprofile_b)).value_or(0)];
  const uint64_t stride = reading.layout.offset(Field::memRecordCycle_size);
  for (Address at = dump_->memory.read_pointer(reading.variable("runtime.mbuckets")).value_or(Address{}); at;) {
    const Record bucket(dump_->memory, reading.layout, at);
    const Address record =
        at + reading.layout.offset(Field::bucket_sizeof) + 8 * bucket.word(Field::bucket_nstk).value_or(0);
    uint64_t live = 0;
    for (uint64_t i = 0; i < 4; ++i) {  // the published one and three to come lie one after the other
      const Record cycle(dump_->memory, reading.layout, record + i * stride);
      live +=
          cycle.word(Field::memRecordCycle_allocs).value_or(0) - cycle.word(Field::memRecordCycle_frees).value_or(0);
    }
    if (live != 0) counted[at.value] = live;
    at = bucket.pointer_or_null(Field::bucket_allnext);
  }
  EXPECT_GT(notes.size(), 20U);
  EXPECT_EQ(notes, counted);
  const auto sampled = reading.samples();
  ASSERT_TRUE(sampled) << sampled.error().message;
  EXPECT_EQ(reading.diagnostics.count("go_samples_differ"), 0U);
  EXPECT_EQ(reading.diagnostics.count("go_sample_unread"), 0U);
}

TEST_P(GoAllocationSamples, DamageIsBoundedAndSaid) {
  Reading whole(*dump_);
  const std::vector<Special> specials = whole.specials();
  const auto special = std::ranges::find(specials, SpecialKind::profile, &Special::kind);
  ASSERT_NE(special, specials.end());
  const Address b = special->address + whole.layout.offset(Field::specialprofile_b);
  const Address bucket = dump_->memory.read_pointer(b).value_or(Address{});
  const size_t samples = whole.samples()->samples.size();
  auto core = copy();
  ASSERT_NE(core, nullptr);
  struct Poke {
    Address at;
    uint64_t value;
    const char* code;  // of the diagnostic that must come
  };
  const Poke pokes[] = {
      {b, 0, "go_sample_unread"},
      {b, UINT64_MAX, "go_sample_unread"},
      {b, special->address.value, "go_sample_unread"},
      {b, special->object.begin.value, "go_sample_unread"},
      {bucket + whole.layout.offset(Field::bucket_typ), 3, "go_sample_unread"},
      {bucket + whole.layout.offset(Field::bucket_nstk), UINT64_MAX, "go_sample_unread"},
      {bucket + whole.layout.offset(Field::bucket_size), UINT64_MAX, nullptr},
      {bucket + whole.layout.offset(Field::bucket_allnext), bucket.value, "go_profile_bucket_unread"},
      {special->address + whole.layout.offset(Field::special_next), special->address.value, nullptr},
      {special->address + whole.layout.offset(Field::special_next), UINT64_MAX - 7, "go_specials_unread"},
      {special->address + whole.layout.offset(Field::special_offset), UINT64_MAX, "go_specials_unread"},
      {whole.variable("runtime.mbuckets"), 0x10, "go_profile_bucket_unread"},
  };
  for (const Poke& poke : pokes) {
    SCOPED_TRACE(testing::Message() << (poke.at - Address{}) << " " << poke.value);
    const auto before = core->dump().memory.read_word(poke.at);
    ASSERT_TRUE(before);
    ASSERT_TRUE(core->poke(poke.at, poke.value));
    Reading reading(core->dump());
    const auto sampled = reading.samples();
    ASSERT_TRUE(sampled) << sampled.error().message;
    EXPECT_LE(sampled->samples.size(), samples);
    EXPECT_GT(sampled->samples.size(), samples / 2);
    for (const auto& sample : sampled->samples) ASSERT_LT(sample.site, sampled->sites.size());
    EXPECT_GE(poke.code == nullptr ? 1 : reading.diagnostics.count(poke.code), 1U) << poke.code;
    for (const auto& site : sampled->sites) sampled->estimate(UINT64_MAX, UINT64_MAX * site.size_bytes);
    core->poke(poke.at, *before);
  }
}

// Notes that do not lead to each other in the order of their objects, in circles of two.
TEST_P(GoAllocationSamples, CirclesEnd) {
  Reading whole(*dump_);
  const std::vector<Special> specials = whole.specials();
  auto core = copy();
  ASSERT_NE(core, nullptr);
  size_t circles = 0;
  const uint32_t next = whole.layout.offset(Field::special_next);
  for (size_t i = 0; i + 1 < specials.size(); ++i) {
    if (dump_->memory.read_pointer(specials[i].address + next) != specials[i + 1].address) continue;
    core->poke(specials[i + 1].address + next, specials[i].address.value);
    ++circles, ++i;
  }
  ASSERT_GT(circles, 10U);
  Reading reading(core->dump());
  const auto sampled = reading.samples();
  ASSERT_TRUE(sampled) << sampled.error().message;
  EXPECT_GE(reading.diagnostics.count("go_specials_unread"), 1U);
  EXPECT_GE(reading.diagnostics.count("go_samples_differ"), 1U);
  EXPECT_LE(sampled->samples.size(), specials.size() + 64 * circles);
}

TEST_P(GoAllocationSamples, NothingSampledIsSaidPlainly) {
  auto core = copy();
  ASSERT_NE(core, nullptr);
  Reading reading(core->dump());
  const auto none = read_allocation_samples(reading.inputs(), {}, reading.diagnostics);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("no sampled objects: Go takes one sample per "), std::string::npos)
      << none.error().message;
  ASSERT_TRUE(core->poke(reading.variable("runtime.MemProfileRate"), 0));
  const auto off = reading.samples();
  ASSERT_FALSE(off);
  EXPECT_NE(off.error().message.find("no sampled objects: the program set runtime.MemProfileRate to 0"),
            std::string::npos)
      << off.error().message;
}

INSTANTIATE_TEST_SUITE_P(Releases, GoAllocationSamples, testing::ValuesIn(test::recorded_go_minors()));

}  // namespace
}  // namespace heapwalk::go
