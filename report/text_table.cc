#include "report/text_table.h"

#include <algorithm>

#include "report/escape.h"

namespace heapwalk {

void TextTable::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

void TextTable::print(Output& output, const TextStyle& style) const {
  std::vector<size_t> widths;
  size_t used = 2;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t width = text_width(columns_[c].heading);
    for (const auto& row : rows_) width = std::max(width, text_width(row[c]));
    size_t left = kScreenColumns > used ? kScreenColumns - used : 1;
    widths.push_back(std::min({width, columns_[c].max_width, left}));
    used += widths.back() + 2;
  }
  auto line_of = [&](auto cell) {
    std::string line = "  ";
    for (size_t c = 0; c < columns_.size(); ++c) {
      std::string text = clip_text(cell(c), widths[c]);
      std::string padding(widths[c] - text_width(text), ' ');
      if (c > 0) line += "  ";
      line += columns_[c].align == Align::right ? padding + text : text + padding;
    }
    line.resize(line.find_last_not_of(' ') + 1);
    return line;
  };
  bool headed = std::ranges::any_of(columns_, [](const TextColumn& column) { return !column.heading.empty(); });
  if (headed) output.print("{}\n", style.faint(line_of([&](size_t c) { return columns_[c].heading; })));
  for (const auto& row : rows_) output.print("{}\n", line_of([&](size_t c) { return row[c]; }));
}

std::string share_text(uint64_t part, uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

void print_wrapped(Output& output, std::string_view text, size_t first_indent, size_t indent) {
  std::string clean = printable(text);
  std::string_view rest = clean;
  std::string line(first_indent, ' ');
  size_t width = first_indent;
  bool fresh = true;
  while (!rest.empty()) {
    size_t space = rest.find(' ');
    std::string_view word = rest.substr(0, space);
    rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
    size_t columns = text_width(word);
    if (!fresh && width + 1 + columns > kScreenColumns) {
      output.print("{}\n", line);
      line.assign(indent, ' ');
      width = indent;
      fresh = true;
    }
    if (!fresh) line += ' ';
    line += word;
    width += columns + (fresh ? 0 : 1);
    fresh = false;
  }
  output.print("{}\n", line);
}

}  // namespace heapwalk
