// Columns of text that line up, within the width of a screen.
//
// Numbers are aligned to the right, names to the left. The last column takes what is left of `kScreenColumns`; a
// longer name loses its middle, since the ends of a C++ name tell most. Cells are made printable here, in one place, so
// that no text from a core reaches a terminal unchecked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "report/output.h"

namespace heapwalk {

constexpr size_t kScreenColumns = 110;

// Terminal colours, or nothing.
class TextStyle {
 public:
  explicit TextStyle(bool color) : color_(color) {}
  std::string heading(std::string_view text) const { return wrap("\x1b[1m", text); }
  std::string alarm(std::string_view text) const { return wrap("\x1b[1;31m", text); }
  std::string faint(std::string_view text) const { return wrap("\x1b[2m", text); }

 private:
  std::string wrap(std::string_view begin, std::string_view text) const {
    return color_ ? std::string(begin) + std::string(text) + "\x1b[0m" : std::string(text);
  }
  bool color_;
};

enum class Align : uint8_t { left, right };

struct TextColumn {
  std::string heading;
  Align align = Align::left;
  size_t max_width = kScreenColumns;
};

class TextTable {
 public:
  explicit TextTable(std::vector<TextColumn> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells);  // as many as columns
  bool empty() const { return rows_.empty(); }
  // The headings in `style`, then the rows, each indented by two columns.
  void print(Output& output, const TextStyle& style) const;

 private:
  std::vector<TextColumn> columns_;
  std::vector<std::vector<std::string>> rows_;
};

std::string share_text(uint64_t part, uint64_t whole);  // "71.4 %"; "-" when the whole is 0

// Printable text, wrapped at spaces to the width of the screen; lines after the first begin at `indent`.
void print_wrapped(Output& output, std::string_view text, size_t first_indent, size_t indent);

}  // namespace heapwalk
