// Every document in every format, against texts kept in testdata/golden/, from analyses made by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "report/escape.h"
#include "report/formats.h"
#include "report/text_table.h"
#include "tests/support/analysis_builder.h"
#include "tests/support/golden.h"
#include "tests/support/json.h"

namespace heapwalk::test {
namespace {

std::string document(std::string_view command, std::string_view format, const DocumentRequest& request) {
  std::string text;
  Output output([&](std::string_view block) {
    text += block;
    return true;
  });
  WriteDocument write = find_document(command, format);
  if (write == nullptr) return "no such document";
  write(request, output);
  output.flush();
  return text;
}

DocumentRequest plain(const Analysis& analysis) {
  return {.analysis = analysis, .limit = {}, .owner = "", .objects = {}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Two sessions in a cache, one block that only another one's leak holds, freed and cached blocks.
Analysis small_heap() {
  AnalysisBuilder builder;
  auto server = builder.owner(OwnerKind::module, "server");
  auto cache = builder.root(RootKind::global, server, "cache\tof \xff sessions", "src/cache.cc:12");
  auto first = builder.object(64, "7Session");
  auto second = builder.object(64, "7Session");
  auto text = builder.object(4096);
  builder.object(24, "", AllocationState::cached);
  auto leak = builder.object(40, "7Request");
  auto held = builder.object(104);
  builder.object(1000, "", AllocationState::free);
  builder.refer(cache, first).refer(first, second).refer(second, text).refer(leak, held);
  return builder.build();
}

WhyAnswer sample_why() {
  WhyAnswer answer;
  answer.targets = 1;
  answer.object = {Address{0x55550100}, 64, AllocationState::used, 0};
  answer.type = "Session";
  answer.reachable = true;
  answer.retained_bytes = 4160;
  answer.retained_objects = 2;
  RootPath path;
  path.retained_bytes = 4160;
  path.root_name = "g_sessions";
  path.root_kind = "global";
  path.root_owner = "server";
  path.root_source = "src/cache.cc:12";
  path.steps = {{Address{0x404040}, "g_sessions", "", EdgeKind::conservative, 1, 48'000'000},
                {Address{0x55550010}, "Node", "+0x8", EdgeKind::conservative, 250'000, 4224},
                {Address{0x55550100}, "Session", "+0x18", EdgeKind::tainted, 1, 4160}};
  answer.paths = {path, path};
  answer.paths[1].root_name = "rbx\x1b[1m";
  answer.paths[1].root_kind = "register";
  answer.paths[1].root_source = "";
  return answer;
}

WhyTypeAnswer sample_why_type() {
  WhyAnswer of_one = sample_why();
  WhyTypeAnswer answer;
  answer.type = "Session<\x1b>";
  answer.targets = 60'010;
  answer.bytes = 3'840'640;
  answer.retained_bytes = 23'040'000;
  answer.leaked_objects = 7;
  answer.leaked_bytes = 448;
  answer.avoided_objects = 1;
  answer.avoided_bytes = 64;
  answer.path_count = 5;
  answer.paths = {{of_one.paths[0], 3'840'000}, {of_one.paths[1], 128}};
  answer.paths[0].path.count = 60'000;
  answer.paths[0].path.retained_bytes = 23'030'000;
  answer.paths[1].path.count = 2;
  return answer;
}

ShowAnswer sample_show() {
  ShowAnswer answer;
  answer.object = {Address{0x55550100}, 64, AllocationState::used, 0};
  answer.allocator = "glibc";
  answer.type = "Session";
  answer.evidence = TypeEvidence::container;
  answer.stage = Stage::exact;
  answer.retained_bytes = 4160;
  answer.retained_objects = 2;
  answer.fields = {{0, "id", "uint64_t", 0, "17"},
                   {0, "user", "std::string", 8, ""},
                   {1, "_M_p", "char*", 8, "0x55550200 \"al\\x1bice\""},
                   {0, "evil\tname", "Peer*", 40, "null"}};
  answer.referrers = {{Address{0x404040}, "g_sessions", "global", "first", EdgeKind::exact, 0, 48'000'000},
                      {Address{0x55550010}, "Node", "", "+0x18", EdgeKind::tainted, 24, 4224}};
  answer.referrer_count = 3;
  answer.references = {{Address{0x55550200}, "char[]", "", "user", EdgeKind::exact, 40, 40}};
  answer.reference_count = 1;
  answer.dominator = answer.referrers[1];
  return answer;
}

// What the documents about one thing need, the same for every test.
struct Answers {
  WhyAnswer why = sample_why();
  WhyTypeAnswer why_type = sample_why_type();
  ShowAnswer show = sample_show();

  void give_to(DocumentRequest& request) const {
    request.why = &why;
    request.why_type = &why_type;
    request.show = &show;
  }
};

class Golden : public ::testing::TestWithParam<std::pair<std::string_view, std::string_view>> {};

TEST_P(Golden, Document) {
  auto [command, format] = GetParam();
  Analysis sample = sample_analysis();
  Analysis small = small_heap();
  Answers answers;
  DocumentRequest request = plain(command == "objects" ? small : sample);
  request.objects.states.fill(true);
  answers.give_to(request);
  std::string extension = format == "text" ? "txt" : std::string(format);
  std::string text = document(command, format, request);
  expect_golden(HEAPWALK_SOURCE_DIR, std::string(command) + "." + extension, text);
  EXPECT_EQ(text, document(command, format, request)) << "the same request must give the same text";
  EXPECT_EQ(text, valid_utf8(text));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

std::vector<std::pair<std::string_view, std::string_view>> all_documents() {
  std::vector<std::pair<std::string_view, std::string_view>> all;
  for (const FormatEntry& entry : format_registry()) all.emplace_back(entry.command, entry.format);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Documents, Golden, ::testing::ValuesIn(all_documents()), [](const auto& row) {
  return std::string(row.param.first) + "_" + std::string(row.param.second);
});

TEST(Documents, EveryCommandHasEveryFormatOnce) {
  std::set<std::string> seen;
  for (const FormatEntry& entry : format_registry()) {
    EXPECT_TRUE(seen.insert(std::string(entry.command) + " " + std::string(entry.format)).second);
  }
  for (const char* command : {"report", "objects", "types", "roots", "leaks", "why", "why_type", "show", "info"}) {
    for (const char* format : {"text", "json", "tsv"}) EXPECT_NE(find_document(command, format), nullptr) << command;
  }
  EXPECT_EQ(find_document("report", "yaml"), nullptr);
}

TEST(Documents, TheTextReportFitsOneScreen) {
  Analysis sample = sample_analysis();
  for (int i = 0; i < 20; ++i) {
    sample.summary.suspects.push_back(sample.summary.suspects[0]);
    sample.summary.roots.push_back(sample.summary.roots[0]);
    sample.summary.owners.push_back(sample.summary.owners[0]);
    sample.summary.leaks.push_back(sample.summary.leaks[0]);
  }
  std::vector<std::string> lines = lines_of(document("report", "text", plain(sample)));
  EXPECT_LE(lines.size(), 50U);
  for (const std::string& line : lines) EXPECT_LE(text_width(line), kScreenColumns) << line;
}

TEST(Documents, TheTextReportIsNeverSilentAboutNothing) {
  Analysis empty = AnalysisBuilder().build();
  std::string text = document("report", "text", plain(empty));
  for (const char* words : {"unexplained", "Leaks: none", "Diagnostics: none", "No single holder"}) {
    EXPECT_NE(text.find(words), std::string::npos) << words << " is missing in\n" << text;
  }
}

TEST(Documents, ColourOnlyWhereItWasAskedFor) {
  Analysis sample = sample_analysis();
  DocumentRequest request = plain(sample);
  request.color = true;
  EXPECT_NE(document("report", "text", request).find("\x1b[1m"), std::string::npos);
  EXPECT_EQ(document("report", "json", request).find('\x1b'), std::string::npos);
}

TEST(Documents, JsonReportKeepsTheContract) {
  Analysis sample = sample_analysis();
  Json report = parse_json(document("report", "json", plain(sample)));
  EXPECT_EQ(report["schema"].text(), "heapwalk/1");
  for (const char* key : {"core", "totals", "memory", "allocators", "suspects", "roots", "types", "leaks", "evidence",
                          "containers", "diagnostics", "stages"}) {
    EXPECT_TRUE(report.has(key)) << key;
  }
  Json totals = report["totals"];
  EXPECT_EQ(totals["used_bytes"].number(), totals["reachable_bytes"].number() + totals["leaked_bytes"].number());
  EXPECT_EQ(report["core"]["signal"].text(), "SIGSEGV");
  EXPECT_EQ(report["core"]["time"].text(), "2025-11-21T05:01:48Z");
  EXPECT_EQ(report["roots"][0]["source"].text(), "src/cache.cc:12");
  EXPECT_EQ(report["suspects"][0]["path"][2]["repeat"].number(), 120'000U);
  EXPECT_EQ(report["diagnostics"][1]["count"].number(), 3U);
}

TEST(Documents, JsonWhyNamesTheRootOnce) {
  Analysis sample = sample_analysis();
  WhyAnswer why = sample_why();
  DocumentRequest request = plain(sample);
  request.why = &why;
  Json json = parse_json(document("why", "json", request));
  EXPECT_EQ(json["targets"].number(), 1U);
  ASSERT_EQ(json["paths"].items().size(), 2U);
  EXPECT_EQ(json["paths"][0]["root"]["name"].text(), "g_sessions");
  ASSERT_EQ(json["paths"][0]["steps"].items().size(), 2U);
  EXPECT_EQ(json["paths"][0]["steps"][0]["repeat"].number(), 250'000U);
  EXPECT_EQ(json["paths"][0]["steps"][1]["edge"].text(), "tainted");
}

TEST(Documents, JsonWhyOfATypeSaysWhatItsPathsStandFor) {
  Analysis sample = sample_analysis();
  Answers answers;
  DocumentRequest request = plain(sample);
  answers.give_to(request);
  Json json = parse_json(document("why_type", "json", request));
  EXPECT_EQ(json["targets"].number(), 60'010U);
  EXPECT_EQ(json["paths"][0]["count"].number(), 60'000U);
  EXPECT_EQ(json["paths"][0]["bytes"].number(), 3'840'000U);
  EXPECT_EQ(json["paths"][0]["root"]["owner"].text(), "server");
  EXPECT_EQ(json["paths"][0]["steps"].items().size(), 2U);
}

TEST(Documents, ATypeWithoutObjectsIsAnAnswer) {
  Analysis sample = sample_analysis();
  WhyTypeAnswer none;
  none.type = "Nothing";
  DocumentRequest request = plain(sample);
  request.why_type = &none;
  EXPECT_NE(document("why_type", "text", request).find("no object in use"), std::string::npos);
  EXPECT_EQ(parse_json(document("why_type", "json", request))["targets"].number(), 0U);
}

TEST(Documents, ShowPrintsBytesWhereNoTypeIsKnown) {
  Analysis sample = sample_analysis();
  ShowAnswer answer = sample_show();
  answer.fields.clear();
  for (char c : std::string_view("hello \x1b[1m world!")) answer.bytes.push_back(static_cast<uint8_t>(c));
  DocumentRequest request = plain(sample);
  request.show = &answer;
  std::string text = document("show", "text", request);
  EXPECT_NE(text.find("  +0x0000  68 65 6c 6c 6f 20 1b 5b  31 6d 20 77 6f 72 6c 64  hello .[1m world\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("  +0x0010  21"), std::string::npos) << text;
  EXPECT_TRUE(parse_json(document("show", "json", request))["bytes"].text().starts_with("68656c6c6f"));
}

TEST(Documents, ShowOfAFreedBlockSaysItsState) {
  Analysis sample = sample_analysis();
  ShowAnswer answer;
  answer.object = {Address{0x55550100}, 64, AllocationState::cached, 0};
  answer.allocator = "glibc";
  DocumentRequest request = plain(sample);
  request.show = &answer;
  EXPECT_TRUE(document("show", "text", request).starts_with("0x55550100: block of glibc, 64B, cached\n"));
}

TEST(Documents, TypesAreSortedAsAsked) {
  Analysis sample = sample_analysis();
  DocumentRequest request = plain(sample);
  const auto first = [&] { return parse_json(document("types", "json", request))["types"][0]["name"].text(); };
  EXPECT_EQ(first(), "Session");
  request.type_sort = TypeSort::count;
  EXPECT_EQ(first(), "[48 B]");
  request.type_sort = TypeSort::retained;
  EXPECT_EQ(first(), "Session");
  request.limit = 1;
  EXPECT_EQ(lines_of(document("types", "tsv", request)).size(), 2U);
}

TEST(Documents, TsvRowsHaveTheHeadersCells) {
  Analysis sample = sample_analysis();
  Analysis small = small_heap();
  Answers answers;
  for (const char* command : {"report", "objects", "types", "roots", "leaks", "why", "why_type", "show", "info"}) {
    DocumentRequest request = plain(std::string_view(command) == "objects" ? small : sample);
    answers.give_to(request);
    std::vector<std::string> lines = lines_of(document(command, "tsv", request));
    ASSERT_GT(lines.size(), 1U) << command;
    for (const std::string& line : lines) {
      EXPECT_EQ(std::ranges::count(line, '\t'), std::ranges::count(lines[0], '\t')) << command << ": " << line;
    }
  }
}

TEST(Documents, ObjectsTsvIsTheContracts) {
  Analysis small = small_heap();
  std::vector<std::string> lines = lines_of(document("objects", "tsv", plain(small)));
  ASSERT_EQ(lines.size(), 6U) << "five used blocks";
  EXPECT_EQ(lines[0], "address\tsize\tstate\tallocator\ttype\tevidence\treachable\tretained\troot");
  EXPECT_EQ(lines[1], "0x10000010\t64\tused\tglibc\tSession\truntime\tyes\t4224\tcache\\tof \xef\xbf\xbd sessions");
  EXPECT_EQ(lines[4], "0x100010e0\t40\tused\tglibc\tRequest\truntime\tno\t144\t");
}

TEST(Documents, LimitsAndOwnersSelectRows) {
  Analysis sample = sample_analysis();
  DocumentRequest request = plain(sample);
  request.limit = 1;
  EXPECT_EQ(parse_json(document("roots", "json", request))["roots"].items().size(), 1U);
  EXPECT_EQ(lines_of(document("roots", "tsv", request)).size(), 2U);
  request.limit.reset();
  request.owner = "worker-3";
  EXPECT_EQ(parse_json(document("roots", "json", request))["roots"].items().size(), 2U);
  EXPECT_EQ(lines_of(document("roots", "tsv", request)).size(), 3U);
}

}  // namespace
}  // namespace heapwalk::test
