// Text from a core file made fit for where it is written.
//
// Names, paths and command lines come from the target: they may hold terminal escapes, line breaks, right-to-left
// marks, or bytes that are no UTF-8 at all (RFC 3629). A byte that starts no valid sequence becomes U+FFFD, everywhere;
// what else is replaced depends on the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace heapwalk {

// The code point at text[at] and its length in bytes. Invalid: U+FFFD and 1, `valid` false.
struct CodePoint {
  uint32_t value = 0xfffd;
  size_t length = 1;
  bool valid = false;
};
CodePoint decode_utf8(std::string_view text, size_t at);

std::string valid_utf8(std::string_view text);
// For terminals: control characters and those that reorder text become U+FFFD.
std::string printable(std::string_view text);
// For one cell of a tab-separated table: \t \n \r \\ as two characters, other control characters U+FFFD.
std::string tsv_cell(std::string_view text);
// With its quotes. '<', '>' and '&' are escaped too, so that the text may stand inside an HTML page.
std::string json_string(std::string_view text);

// Columns that a printable text takes on a terminal, one per code point.
size_t text_width(std::string_view text);
// At most `width` columns: the middle of a longer text becomes "…".
std::string clip_text(std::string_view text, size_t width);

}  // namespace heapwalk
