// A profile that a run-time kept, as a file: what readers of pprof files demand, and what they can do with it.
#include "report/own_profile.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/own_pprof.h"

namespace heapwalk::test {
namespace {

// Code in the program and in a library, and a sample of each kind.
struct Example {
  Example() {
    dump.process.time_seconds = 1'000;
    dump.mappings = {mapping(0x400000, "/srv/server", true), mapping(0x7f0000, "/lib/libc.so.6", true),
                     mapping(0x800000, "/srv/server.data", false)};
    Module program;
    program.path = "/srv/server";
    program.build_id = "0123abcd";
    program.is_executable = true;
    program.range = AddressRange::of(Address{0x400000}, 0x1000);
    dump.modules = {program};
    profile.sample_types = {{"contentions", "count"}, {"delay", "nanoseconds"}};
    profile.period_type = {"contentions", "count"};
    profile.functions = {{"main.outer", "/src/main.go", 7}, {"main.inner", "/src/main.go", 3}};
    profile.locations = {{Address{0x400010}, {{1, 4}, {0, 9}}}, {Address{0x7f0010}, {}}, {Address{0x10}, {}}};
    profile.samples = {{{0, 1}, {1, 100}, {{"tenant", "blue", 0}, {"bytes", "", 48}}},
                       {{0, 1}, {2, -20}, {{"tenant", "blue", 0}, {"bytes", "", 48}}},
                       {{2}, {1, 1}, {}},
                       {{}, {0, 0}, {}}};
  }
  static Mapping mapping(uint64_t begin, std::string path, bool executable) {
    Mapping result;
    result.range = AddressRange::of(Address{begin}, 0x1000);
    result.readable = true;
    result.executable = executable;
    result.path = std::move(path);
    result.file_offset = 0x2000;
    return result;
  }
  DecodedProfile decoded() const { return decode_profile(make_own_profile(profile, dump, 1'000, diagnostics)); }

  CoreDump dump;
  OwnProfile profile;
  Diagnostics diagnostics;
};

TEST(OwnProfile, SaysWhatTheRuntimeSaid) {
  const DecodedProfile decoded = Example().decoded();
  ASSERT_EQ(decoded.error, "");
  EXPECT_EQ(decoded.sample_types(), (std::vector<std::string>{"contentions/count", "delay/nanoseconds"}));
  EXPECT_EQ(decoded.period_type(), "1 contentions/count");
  EXPECT_EQ(decoded.profile.time_nanos(), 1'000'000'000'000);
  EXPECT_EQ(decoded.profile.default_sample_type(), 0);
  const std::map<std::string, std::vector<int64_t>> wanted = {
      {"0x400010 main.inner /src/main.go:4 (3) main.outer /src/main.go:9 (7)\n0x7f0010\n[bytes=48]\n[tenant=blue]\n",
       {3, 80}},
      {"0x10\n", {1, 1}},
      {"", {0, 0}}};
  EXPECT_EQ(decoded.by_stack(), wanted);
  EXPECT_EQ(decoded.profile.sample_size(), 3) << "equal stacks are one sample";
}

TEST(OwnProfile, LocationsLieInTheMappingsOfTheirImages) {
  const DecodedProfile decoded = Example().decoded();
  ASSERT_EQ(decoded.profile.mapping_size(), 2) << "those with code";
  EXPECT_EQ(decoded.text(decoded.profile.mapping(0).filename()), "/srv/server");
  EXPECT_EQ(decoded.text(decoded.profile.mapping(0).build_id()), "0123abcd");
  EXPECT_EQ(decoded.profile.mapping(0).file_offset(), 0x2000U);
  EXPECT_TRUE(decoded.profile.mapping(0).has_functions());
  EXPECT_FALSE(decoded.profile.mapping(1).has_functions()) << "pprof may look for symbols there";
  std::set<uint64_t> ids;
  for (int i = 0; i < decoded.profile.location_size(); ++i) {
    EXPECT_EQ(decoded.profile.location(i).id(), static_cast<uint64_t>(i) + 1);
    ids.insert(decoded.profile.location(i).mapping_id());
  }
  EXPECT_EQ(ids, (std::set<uint64_t>{0, 1, 2}));
  EXPECT_EQ(decoded.profile.string_table(0), "");
}

TEST(OwnProfile, LossIsInTheComments) {
  Example example;
  example.diagnostics.add("lost", "a bucket\xff could not be read", 3);
  const DecodedProfile decoded = example.decoded();
  ASSERT_EQ(decoded.error, "");
  ASSERT_EQ(decoded.profile.comment_size(), 1);
  EXPECT_NE(decoded.text(decoded.profile.comment(0)).find("could not be read (3 times)"), std::string::npos);
}

}  // namespace
}  // namespace heapwalk::test
