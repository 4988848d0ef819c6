#include "heapwalk/runtimes/go/program/layout.h"

#include <algorithm>

namespace heapwalk::go {
namespace {

const FieldRow& row_of(Field field, bool is_arm64) {
  if (is_arm64) {
    auto rows = layout_table_arm64();
    auto row = std::ranges::lower_bound(rows, field, {}, &FieldRow::field);
    if (row != rows.end() && row->field == field) return *row;
  }
  return layout_table()[static_cast<size_t>(field)];
}

}  // namespace

std::optional<Layout> Layout::of(int minor, Architecture architecture) {
  if (minor < kFirstMinor) return std::nullopt;
  Layout layout;
  layout.minor_ = minor;
  layout.column_ = static_cast<size_t>(std::min(minor, kLastMinor) - kFirstMinor);
  layout.is_arm64_ = architecture == Architecture::aarch64;
  return layout;
}

uint32_t Layout::offset(Field field) const {
  return row_of(field, is_arm64_).offsets[column_];
}

uint32_t Layout::width(Field field) const {
  const FieldRow& row = row_of(field, is_arm64_);
  return row.offsets[column_] == kAbsent ? 0 : row.widths[column_];
}

}  // namespace heapwalk::go
