// The generated rows as arrays; layout.h says what they mean.
#include "heapwalk/runtimes/go/program/layout.h"

namespace heapwalk::go {
namespace {

constexpr uint32_t na = Layout::kAbsent;

struct Widths {
  std::array<uint32_t, kLayoutColumns> bytes{};
  constexpr explicit Widths(uint32_t all) { bytes.fill(all); }
  template <typename... More>
  constexpr Widths(uint32_t first, More... more) : bytes{first, static_cast<uint32_t>(more)...} {}
};

#define LAYOUT_ROW(field, name, widths, ...) FieldRow{Field::field, name, Widths widths.bytes, {__VA_ARGS__}},
constexpr FieldRow kRows[] = {
#include "heapwalk/runtimes/go/program/layout_table.inc"
};
constexpr FieldRow kArm64Rows[] = {
#include "heapwalk/runtimes/go/program/layout_table_arm64.inc"
};
#undef LAYOUT_ROW

}  // namespace

std::span<const FieldRow> layout_table() {
  return kRows;
}
std::span<const FieldRow> layout_table_arm64() {
  return kArm64Rows;
}

}  // namespace heapwalk::go
