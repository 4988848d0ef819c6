#include "report/escape.h"

#include <gtest/gtest.h>

#include "report/json_writer.h"
#include "report/text_table.h"
#include "tests/support/json.h"

namespace heapwalk::test {
namespace {

constexpr std::string_view kBad = "\xef\xbf\xbd";

TEST(Escape, ValidTextStaysAsItIs) {
  for (std::string_view text : {"", "plain", "größer", "→ ×", "\xf0\x9f\x98\x80"}) {
    EXPECT_EQ(valid_utf8(text), text);
    EXPECT_EQ(printable(text), text);
    EXPECT_EQ(tsv_cell(text), text);
  }
}

TEST(Escape, EveryByteThatStartsNoSequenceIsReplaced) {
  EXPECT_EQ(valid_utf8("a\xff"
                       "b"),
            "a" + std::string(kBad) + "b");
  EXPECT_EQ(valid_utf8("\xc3"), kBad) << "cut off";
  EXPECT_EQ(valid_utf8("\xc0\xaf"), std::string(kBad) + std::string(kBad)) << "overlong";
  EXPECT_EQ(valid_utf8("\xed\xa0\x80"), std::string(kBad) + std::string(kBad) + std::string(kBad)) << "surrogate";
  EXPECT_EQ(valid_utf8("\xf4\x90\x80\x80").substr(0, 3), kBad) << "beyond U+10FFFF";
}

TEST(Escape, TerminalsGetNoControlCharacters) {
  EXPECT_EQ(printable("\x1b[2J"), std::string(kBad) + "[2J");
  EXPECT_EQ(printable("a\nb\tc\x7f"), "a" + std::string(kBad) + "b" + std::string(kBad) + "c" + std::string(kBad));
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            std::string(kBad) + "31m")
      << "C1 control sequence introducer";
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "x"),
            std::string(kBad) + "x")
      << "right-to-left override";
}

TEST(Escape, ATsvCellNeverHasATabOrLineBreak) {
  EXPECT_EQ(tsv_cell("a\tb\nc\rd\\e"), "a\\tb\\nc\\rd\\\\e");
  EXPECT_EQ(tsv_cell(std::string_view("\0", 1)), kBad);
}

TEST(Escape, JsonReadsBackWhatWasWritten) {
  std::string every;
  for (int c = 0; c < 0x80; ++c) every += static_cast<char>(c);
  every += "é→\xf0\x9f\x98\x80\xe2\x80\xa8";
  Json parsed = parse_json("{\"x\": " + json_string(every) + "}");
  EXPECT_EQ(parsed["x"].text(), every);
  EXPECT_EQ(json_string("</script>"), "\"\\u003c/script\\u003e\"");
  EXPECT_EQ(json_string("\xff"), "\"" + std::string(kBad) + "\"");
}

TEST(Escape, ClippingKeepsBothEnds) {
  EXPECT_EQ(clip_text("abcdef", 6), "abcdef");
  EXPECT_EQ(clip_text("abcdefghij", 5), "ab…ij");
  EXPECT_EQ(clip_text("ääääääää", 3), "ä…ä");
  EXPECT_EQ(clip_text("abc", 0), "");
  EXPECT_EQ(text_width("ä→b"), 3U);
}

TEST(JsonWriter, NestsAndSeparates) {
  std::string text;
  {
    Output output([&](std::string_view block) {
      text += block;
      return true;
    });
    JsonWriter json(output);
    json.begin_object();
    json.member("a", uint64_t{18446744073709551615ULL});
    json.key("empty");
    json.begin_array();
    json.end_array();
    json.rows("rows", std::vector<int>{1, 2}, [&](int i) {
      json.member("n", static_cast<uint64_t>(i));
      json.member("odd", i % 2 == 1);
    });
    json.key("none");
    json.value_null();
    json.end_object();
    json.finish();
    output.flush();
  }
  EXPECT_EQ(text,
            "{\n  \"a\": 18446744073709551615,\n  \"empty\": [],\n  \"rows\": [\n    {\"n\": 1, \"odd\": true},\n    "
            "{\"n\": 2, \"odd\": false}\n  ],\n  \"none\": null\n}\n");
  EXPECT_EQ(parse_json(text)["rows"][1]["n"].number(), 2U);
}

TEST(Output, StopsAfterAFailureAndNeverThrows) {
  int blocks = 0;
  Output output([&](std::string_view) { return ++blocks < 2; });
  for (int i = 0; i < 100'000; ++i) output.write("a long enough row of text\n");
  EXPECT_FALSE(output.ok());
  EXPECT_EQ(blocks, 2);
}

TEST(TextTable, FitsTheScreenAndLinesUp) {
  std::string text;
  Output output([&](std::string_view block) {
    text += block;
    return true;
  });
  TextTable table({{"n", Align::right}, {"name"}});
  table.add({"1", std::string(300, 'x')});
  table.add({"1000", "short"});
  table.print(output, TextStyle(false));
  output.flush();
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    EXPECT_LE(text_width(text.substr(begin, end - begin)), kScreenColumns);
  }
  EXPECT_NE(text.find("     1  x"), std::string::npos) << text;
  EXPECT_NE(text.find("  1000  short\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace heapwalk::test
