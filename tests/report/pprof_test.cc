// Profiles, read back by a strict checker, by protoc and by pprof itself.
#include "report/pprof.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "heapwalk/analysis.h"
#include "report/pprof_encoder.h"
#include "tests/support/analysis_builder.h"
#include "tests/support/go_pprof.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/pprof_checker.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

const ProfileFacts kFacts = {"/srv/bin/server", "0123456789abcdef", AddressRange::of(Address{0x400000}, 0x1000),
                             1'700'000'000};

// A session cache, a list, memory that two hold, a leaked cycle, and a caller's names.
Analysis typical_heap(std::string_view session_class = "7Session", std::string_view root_name = "ns::cache") {
  AnalysisBuilder builder;
  auto server = builder.owner(OwnerKind::module, "server");
  auto thread = builder.owner(OwnerKind::thread, "thread 4711 \"worker\"");
  auto cache = builder.root(RootKind::global, server, std::string(root_name), "src/cache.cc:3");
  auto frame = builder.root(RootKind::stack, thread, "handle_request");
  for (int i = 0; i < 100; ++i) {
    auto session = builder.object(64, session_class), text = builder.object(static_cast<uint64_t>(24 + 8 * i));
    builder.refer(cache, session).refer(session, text);
    if (i % 10 == 0) builder.refer(frame, text);
  }
  auto last = builder.object(24, "4Node");
  builder.refer(frame, last);
  for (int i = 0; i < 2'000; ++i) {
    auto next = builder.object(24, "4Node");
    builder.refer(last, next);
    last = next;
  }
  auto a = builder.object(40, "N2ns4RingISt6vectorINS_1KESaIS2_EEEE"), b = builder.object(40, "1B");
  builder.refer(a, b).refer(b, a);
  return builder.build();
}

std::string profile_of(const Analysis& analysis, const ProfileLimits& limits = {}) {
  return make_profile(FoldedStacks(analysis, 1), kFacts, limits);
}

void expect_totals(const CheckedProfile& checked, const Analysis& analysis) {
  auto objects = static_cast<int64_t>(analysis.summary.totals.used_objects);
  auto bytes = static_cast<int64_t>(analysis.summary.totals.used_bytes);
  EXPECT_EQ(checked.totals, (std::array<int64_t, 4>{objects, bytes, objects, bytes}));
}

TEST(Pprof, KeepsEveryRule) {
  Analysis analysis = typical_heap();
  CheckedProfile checked = check_profile(profile_of(analysis));
  EXPECT_EQ(checked.violation_text(), "");
  expect_totals(checked, analysis);
  EXPECT_EQ(checked.by_dominator.at("[stack] handle_request;Node"), 2'001 * 24);
  EXPECT_EQ(checked.by_dominator.at("[global] ns::cache;Session"), 100 * 64);
  EXPECT_GT(checked.by_dominator.at("[shared];[24 B]"), 0);
  EXPECT_EQ(checked.by_dominator.at("[unreachable] ns::Ring<vector<K>>;ns::Ring<vector<K>>"), 40);
  EXPECT_EQ(checked.profile.time_nanos(), 1'700'000'000'000'000'000);
  EXPECT_EQ(checked.profile.string_table(static_cast<int>(checked.profile.mapping(0).build_id())), "0123456789abcdef");
}

// The checker itself: each broken rule is seen.
TEST(Pprof, TheCheckerSeesWhatIsWrong) {
  const std::string good = profile_of(typical_heap());
  auto broken = [&](auto change) {
    CheckedProfile checked = check_profile(good);
    change(checked.profile);
    return check_profile(gzip(checked.profile.SerializeAsString())).violations.size();
  };
  EXPECT_EQ(broken([](auto&) {}), 0U);
  EXPECT_GT(broken([](auto& p) { p.set_string_table(0, "x"); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.mutable_sample(0)->set_value(1, -1); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.mutable_sample(0)->set_value(3, 1); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.mutable_sample(0)->add_value(1); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.mutable_sample(0)->set_location_id(0, 999'999); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.mutable_sample(0)->clear_location_id(); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.mutable_location(0)->set_id(7); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.mutable_location(0)->set_address(7); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.mutable_location(0)->clear_line(); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.mutable_function(0)->set_system_name(1); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.mutable_function(0)->set_name(999'999); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.mutable_mapping(0)->set_has_functions(false); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.add_mapping()->set_id(2); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.set_doc_url(1); }), 0U);
  EXPECT_GT(broken([](auto& p) { p.set_duration_nanos(1); }), 0U);
  EXPECT_GT(broken([](auto& p) { *p.add_sample() = p.sample(0); }), 0U);
  EXPECT_GT(check_profile(good + good).violations.size(), 0U) << "a second gzip member";
  EXPECT_GT(check_profile(good.substr(0, good.size() / 2)).violations.size(), 0U);
  EXPECT_GT(check_profile("").violations.size(), 0U);
}

TEST(Pprof, TheSameHeapGivesTheSameBytes) {
  Analysis analysis = typical_heap();
  EXPECT_EQ(profile_of(analysis), profile_of(typical_heap()));
  EXPECT_EQ(make_profile(FoldedStacks(analysis, 4), kFacts, {}), profile_of(analysis));
}

TEST(Pprof, NamesThatAreNoUtf8AreRepaired) {
  Analysis analysis = typical_heap("\xff\xfe\x01",
                                   "cache \xc3\x28 \xe2\x80\xae"
                                   "x");
  CheckedProfile checked = check_profile(profile_of(analysis));
  EXPECT_EQ(checked.violation_text(), "");
  expect_totals(checked, analysis);
}

TEST(Pprof, NamesThatBecomeTheSameStayOneSample) {
  ProfileStacks stacks;
  stacks.frames = {{"A\xff", "", 0, 0}, {"A\xfe", "", 0, 0}, {"[shared]", "", 0, 0}};
  for (uint32_t leaf : {0U, 1U}) {
    stacks.by_dominator.push_back({{leaf, 2}, 1, 10, {}});
    stacks.by_path.push_back({{leaf, 2}, 1, 10, {}});
  }
  CheckedProfile checked = check_profile(gzip(encode_profile(stacks, kFacts)));
  EXPECT_EQ(checked.violation_text(), "");
  EXPECT_EQ(checked.profile.sample_size(), 2);
  EXPECT_EQ(checked.totals, (std::array<int64_t, 4>{2, 20, 2, 20}));
}

TEST(Pprof, AnEmptyHeapIsAProfileToo) {
  Analysis analysis = AnalysisBuilder().build();
  EXPECT_EQ(check_profile(profile_of(analysis)).violation_text(), "");
}

// 20,000 roots with names of 1,000 bytes: more samples and more bytes than a profile may have.
TEST(Pprof, LimitsHoldAndNothingIsLost) {
  AnalysisBuilder builder;
  auto server = builder.owner(OwnerKind::module, "server");
  for (int i = 0; i < 20'000; ++i) {
    auto root = builder.root(RootKind::global, server, "g" + std::to_string(i) + std::string(1'000, 'x'));
    builder.refer(root, builder.object(static_cast<uint64_t>(16 + 8 * (i % 100))));
  }
  Analysis analysis = builder.build();
  CheckedProfile checked = check_profile(profile_of(analysis));
  EXPECT_EQ(checked.violation_text(), "");
  expect_totals(checked, analysis);
  EXPECT_GT(checked.bytes.size(), size_t{3} << 20) << "what fits is used";
  EXPECT_GT(checked.by_dominator.at("(other)"), 0);
}

TEST(Pprof, AVeryLongNameIsCut) {
  ProfileStacks stacks;
  stacks.frames = {
      {std::string(3 << 20, 'a'), "", 0, 0}, {std::string(3 << 20, 'a') + "b", "", 0, 0}, {"[shared]", "", 0, 0}};
  for (uint32_t leaf : {0U, 1U}) stacks.by_dominator.push_back({{leaf, 2}, 1, 10, {}});
  stacks.by_path = stacks.by_dominator;
  CheckedProfile checked = check_profile(gzip(encode_profile(stacks, kFacts)));
  EXPECT_EQ(checked.violation_text(), "");
  EXPECT_EQ(checked.profile.sample_size(), 4) << "different names stay different";
}

TEST(Pprof, AMillionObjects) {
  AnalysisBuilder builder;
  std::mt19937 random(4);
  auto server = builder.owner(OwnerKind::module, "server");
  std::vector<AnalysisBuilder::RootRef> roots;
  for (int i = 0; i < 500; ++i) roots.push_back(builder.root(RootKind::global, server, "g" + std::to_string(i)));
  std::vector<AnalysisBuilder::ObjectRef> objects;
  for (int i = 0; i < 1'000'000; ++i) {
    objects.push_back(builder.object(8 * (2 + random() % 100), i % 5 == 0 ? "7Session" : ""));
    if (i % 100 == 0) {
      builder.refer(roots[random() % roots.size()], objects.back());
    } else if (i % 1'001 != 0) {
      builder.refer(objects[random() % static_cast<unsigned>(i)], objects.back());
    }
  }
  Analysis analysis = builder.build();
  CheckedProfile checked = check_profile(profile_of(analysis));
  EXPECT_EQ(checked.violation_text(), "");
  expect_totals(checked, analysis);
  EXPECT_GT(checked.profile.sample_size(), 10'000);
}

TEST(Pprof, ProtocDecodesIt) {
  if (std::system("command -v protoc > /dev/null 2>&1") != 0) GTEST_SKIP() << "protoc is not installed";
  TemporaryDirectory directory;
  std::string file = directory.write("profile.pb", check_profile(profile_of(typical_heap())).bytes);
  std::string root = HEAPWALK_SOURCE_DIR;
  CommandOutput decoded = run_captured(
      {"sh", "-c",
       "protoc --decode=perftools.profiles.Profile -I " + root + " " + root + "/proto/profile.proto < " + file});
  EXPECT_EQ(decoded.status, 0) << decoded.err;
  EXPECT_NE(decoded.out.find("string_table: \"[global] ns::cache\""), std::string::npos);
  std::string unknown_field = "\n1";  // protoc prints unknown fields by number
  for (char digit = '1'; digit <= '9'; ++digit)
    EXPECT_EQ(decoded.out.find(std::string("\n") + digit), std::string::npos);
}

class GoPprof : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::string reason = why_no_go_pprof(); !reason.empty()) GTEST_SKIP() << reason;
    analysis_ = typical_heap();
    file_ = directory_.write("heap.pb.gz", profile_of(analysis_));
  }
  std::string run(std::vector<std::string> arguments) {
    CommandOutput result = run_go_pprof(directory_.path().string(), std::move(arguments));
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  }
  Analysis analysis_;
  TemporaryDirectory directory_;
  std::string file_;
};

TEST_F(GoPprof, EveryReportWorks) {
  std::string raw = run({"-raw", file_});
  EXPECT_NE(raw.find("inuse_objects/count inuse_space/bytes[dflt] path_objects/count path_space/bytes"),
            std::string::npos)
      << raw.substr(0, 500);
  std::string top = run({"-top", "-trim=false", "-unit=B", file_});
  std::string total = std::to_string(analysis_.summary.totals.used_bytes) + "B total";
  EXPECT_NE(top.find(total), std::string::npos) << top.substr(0, 500);
  EXPECT_NE(top.find("Session"), std::string::npos);
  std::string cum = run({"-top", "-cum", "-unit=B", file_});
  EXPECT_NE(cum.find("[global] ns::cache"), std::string::npos) << cum;
  EXPECT_NE(run({"-tree", file_}).find("[shared]"), std::string::npos);
  EXPECT_NE(run({"-peek", "Session", file_}).find("[global] ns::cache"), std::string::npos);
  std::string tags = run({"-tags", file_});
  for (const char* tag : {"root_kind", "allocator", "thread", "bytes"})
    EXPECT_NE(tags.find(tag), std::string::npos) << tag;
  EXPECT_NE(run({"-traces", file_}).find("[unreachable]"), std::string::npos);
  EXPECT_NE(run({"-sample_index=path_space", "-top", "-trim=false", "-unit=B", file_}).find(total), std::string::npos);
}

TEST_F(GoPprof, CumulativeIsTheRetainedSize) {
  uint64_t retained = analysis_.dominators.retained_bytes(root_node(analysis_.roots, 0));
  std::string top = run({"-top", "-cum", "-trim=false", "-unit=B", "-nodecount=1000", file_});
  std::istringstream lines(top);
  bool found = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("[global] ns::cache") == std::string::npos) continue;
    found = true;
    EXPECT_NE(line.find(" " + std::to_string(retained) + "B "), std::string::npos) << line;
  }
  EXPECT_TRUE(found) << top;
}

TEST_F(GoPprof, AProfileMinusItselfIsZero) {
  std::string difference = run({"-top", "-diff_base=" + file_, file_});
  EXPECT_NE(difference.find("accounting for 0, 0%"), std::string::npos) << difference;
  EXPECT_NE(run({"-top", "-base=" + file_, file_}).find("of 0 total"), std::string::npos);
}

TEST_F(GoPprof, SurvivesARoundTrip) {
  run({"-proto", "-output=" + directory_.file("again.pb.gz"), file_});
  std::ifstream again(directory_.file("again.pb.gz"), std::ios::binary);
  std::stringstream bytes;
  bytes << again.rdbuf();
  CheckedProfile before = check_profile(profile_of(analysis_)), after = check_profile(bytes.str());
  EXPECT_EQ(after.profile.sample_size(), before.profile.sample_size());
  int64_t sum = 0;
  for (const auto& sample : after.profile.sample()) sum += sample.value(1);
  EXPECT_EQ(sum, before.totals[1]);
}

// No line of a source view may show more than the whole heap: loop erasure at work.
TEST_F(GoPprof, SourceViewsShowNoMoreThanTheHeap) {
  std::filesystem::create_directories(directory_.path() / "src");
  directory_.write("src/cache.cc", "// one\n// two\nint cache;\n");
  std::string listed =
      run({"-list", "^\\[global\\] ns::cache$", "-unit=B", "-source_path=" + directory_.path().string(), file_});
  EXPECT_NE(listed.find("int cache;"), std::string::npos) << listed;
  std::string retained = std::to_string(analysis_.dominators.retained_bytes(root_node(analysis_.roots, 0))) + "B";
  EXPECT_NE(listed.find(retained), std::string::npos) << listed;
  std::string web = run({"-weblist", "ns::cache", "-unit=B", "-source_path=" + directory_.path().string(),
                         "-output=" + directory_.file("list.html"), file_});
  EXPECT_TRUE(std::filesystem::file_size(directory_.file("list.html")) > 0);
}

}  // namespace
}  // namespace heapwalk::test
