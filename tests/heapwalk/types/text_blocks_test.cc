#include "heapwalk/types/text_blocks.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace heapwalk {
namespace {

bool is_text(std::string bytes, size_t size_bytes) {
  bytes.resize(size_bytes, '\0');
  return is_text_block(std::as_bytes(std::span(bytes)), size_bytes);
}

TEST(TextBlocks, TextMakesUpMostOfTheBlock) {
  EXPECT_TRUE(is_text("a session's name", 24));
  EXPECT_TRUE(is_text(std::string("\x11\x40\x01", 3) + "behind a header of three bytes", 40));
  EXPECT_TRUE(is_text("short: 7", 24));
  EXPECT_FALSE(is_text("a name that begins a large record", 200));
  EXPECT_FALSE(is_text("", 24));
  EXPECT_FALSE(is_text("DCBAeU", 24));  // an address
  EXPECT_FALSE(is_text(std::string(30, '\x90') + "not in front of this", 72));
  EXPECT_FALSE(is_text("ended by \x01 something else", 24));
}

TEST(TextBlocks, LargeTextIsToldByItsBeginning) {
  const std::string begin(256, 'x');
  EXPECT_TRUE(is_text_block(std::as_bytes(std::span(begin)), 4096));
  EXPECT_FALSE(is_text_block(std::as_bytes(std::span(begin)), 256));  // no NUL
  EXPECT_FALSE(is_text_block({}, 256));
}

}  // namespace
}  // namespace heapwalk
