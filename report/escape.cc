#include "report/escape.h"

#include <vector>

#include <fmt/format.h>

namespace heapwalk {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

bool is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

// Characters that reorder or break lines where a terminal or editor shows them (UAX #9 §2, U+2028, U+2029).
bool is_reordering(uint32_t c) {
  return c == 0x200e || c == 0x200f || c == 0x061c || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

// Calls escape(code point, its bytes) for each; the code point of an invalid byte is U+FFFD, as are its bytes.
template <class Escape>
std::string escape_each(std::string_view text, Escape escape) {
  std::string result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    CodePoint point = decode_utf8(text, at);
    escape(result, point.value, point.valid ? text.substr(at, point.length) : kReplacement);
    at += point.length;
  }
  return result;
}

}  // namespace

CodePoint decode_utf8(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  uint32_t first = byte(at);
  if (first < 0x80) return {first, 1, true};
  size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return {};
  uint32_t value = first & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {};
    value = (value << 6) | (byte(at + i) & 0x3fU);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kSmallest[length] || value > 0x10ffff || surrogate) return {};
  return {value, length, true};
}

std::string valid_utf8(std::string_view text) {
  return escape_each(text, [](std::string& out, uint32_t, std::string_view bytes) { out += bytes; });
}

std::string printable(std::string_view text) {
  return escape_each(text, [](std::string& out, uint32_t c, std::string_view bytes) {
    out += is_control(c) || is_reordering(c) ? kReplacement : bytes;
  });
}

std::string tsv_cell(std::string_view text) {
  return escape_each(text, [](std::string& out, uint32_t c, std::string_view bytes) {
    switch (c) {
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\\':
        out += "\\\\";
        break;
      default:
        out += is_control(c) ? kReplacement : bytes;
    }
  });
}

std::string json_string(std::string_view text) {
  std::string body = escape_each(text, [](std::string& out, uint32_t c, std::string_view bytes) {
    bool breaks_html = c == '<' || c == '>' || c == '&' || c == 0x2028 || c == 0x2029;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (is_control(c) || breaks_html) {
      out += fmt::format("\\u{:04x}", c);
    } else {
      out += bytes;
    }
  });
  return '"' + body + '"';
}

size_t text_width(std::string_view text) {
  size_t width = 0;
  for (size_t at = 0; at < text.size(); at += decode_utf8(text, at).length) ++width;
  return width;
}

std::string clip_text(std::string_view text, size_t width) {
  std::vector<size_t> starts;  // of each code point
  for (size_t at = 0; at < text.size(); at += decode_utf8(text, at).length) starts.push_back(at);
  if (starts.size() <= width) return std::string(text);
  if (width == 0) return {};
  size_t head = width / 2;
  size_t tail = width - 1 - head;
  std::string result(text.substr(0, starts[head]));
  result += "…";
  if (tail > 0) result += text.substr(starts[starts.size() - tail]);
  return result;
}

}  // namespace heapwalk
