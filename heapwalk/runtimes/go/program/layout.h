// Where the fields of Go's run-time structures lie, release by release.
//
//                                      1.19  1.20  1.21  1.22  …
//     runtime.mspan.elemsize            104   104   112   104        one row per field, one column per release
//     runtime.mspan.largeType             –     –     –   152        – : this release has no such field
//     runtime.mspan.nelems  (8 8 8 2 …)  56    56    56    50        a field's width may change too
//
// The table is data: layout_table.inc for amd64, and layout_table_arm64.inc for the few rows that arm64 has otherwise
// (its cache lines are longer, and the run-time pads to them). testdata/go/layouts makes both from the debug info of a
// program built with each release; it is run again when a release comes out. The enumerators are the rows of the
// table. Patch releases share a column. A release that is newer than the table is read with the last column: ask
// `is_guess` and say so.
//
// Two things live in builds with options only (GOEXPERIMENT): classic maps in 1.24 and 1.25 (hmap_…, OldMapType_…), and
// the inline mark bits of Green Tea in 1.25. Their rows are from such builds; whether a process has them is for its
// reader to find out.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "dump/thread.h"

namespace heapwalk::go {

// By Go's own names, less the package and underscores in front:
//     mspan_elemsize             runtime.mspan.elemsize
//     g_defer, Type_Size_        runtime.g._defer, internal/abi.Type.Size_ (runtime._type.size before 1.21)
//     mspan_size                 the size of runtime.mspan; bucket_sizeof where Go has a field `size`
//     semTable_stride            the size of an element of the array type
//     KindSpecialFinalizer       the value of a constant
// Things that changed their names have the newest.
enum class Field : uint16_t {
#define LAYOUT_ROW(field, ...) field,
#include "heapwalk/runtimes/go/program/layout_table.inc"
#undef LAYOUT_ROW
};

constexpr int kFirstMinor = 19, kLastMinor = 27;  // Go 1.19 … 1.27
constexpr size_t kLayoutColumns = kLastMinor - kFirstMinor + 1;

class Layout {
 public:
  static constexpr uint32_t kAbsent = UINT32_MAX;

  // Of Go 1.`minor`; newer releases get the last column. Nothing below 1.19.
  static std::optional<Layout> of(int minor, Architecture architecture = Architecture::x86_64);

  int minor() const { return minor_; }
  bool is_guess() const { return minor_ > kLastMinor; }  // newer than the table

  bool has(Field field) const { return offset(field) != kAbsent; }
  // In bytes from the start of the structure, or kAbsent. For sizes, strides and constants: the value itself.
  uint32_t offset(Field field) const;
  // The field's own size in bytes; 0 for absent fields, sizes, strides and constants.
  uint32_t width(Field field) const;

 private:
  int minor_ = 0;
  size_t column_ = 0;
  bool is_arm64_ = false;
};

struct FieldRow {
  Field field;
  std::string_view name;  // "runtime.mspan.elemsize", "sizeof runtime.mspan"
  std::array<uint32_t, kLayoutColumns> widths;
  std::array<uint32_t, kLayoutColumns> offsets;
};

std::span<const FieldRow> layout_table();        // amd64, by Field
std::span<const FieldRow> layout_table_arm64();  // the rows that differ there, ascending by Field

}  // namespace heapwalk::go
