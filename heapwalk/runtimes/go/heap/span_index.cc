#include "heapwalk/runtimes/go/heap/span_index.h"

#include <algorithm>
#include <iterator>

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxPieces = 1 << 20;  // 64 TiB from the lowest span on
constexpr size_t kMaxTables = 1 << 14;    // of 32 KiB each

}  // namespace

SpanIndex::SpanIndex(std::span<const Span> spans) : spans_(spans) {
  if (spans.empty()) return;
  first_ = spans.front().begin.value >> kPieceShift;
  for (uint32_t number = 0; number < spans.size(); ++number) {
    if (spans[number].state == SpanState::in_use && !spans[number].range().empty()) add(number);
  }
}

void SpanIndex::add(uint32_t number) {
  const AddressRange range = spans_[number].range();
  const uint64_t first_page = range.begin.value >> kPageShift, end_page = ((range.end.value - 1) >> kPageShift) + 1;
  for (uint64_t page = first_page; page < end_page;) {
    const uint64_t index = page / kPages, next = std::min(end_page, (index + 1) * kPages);
    if (index < first_ || index - first_ >= kMaxPieces) {
      is_whole_ = false;
      return;
    }
    if (index - first_ >= pieces_.size()) pieces_.resize(index - first_ + 1);
    Piece& piece = pieces_[index - first_];
    if (next - page == kPages && piece.pages.empty()) {
      piece.span = number + 1;
    } else if (!piece.pages.empty() || tables_ < kMaxTables) {
      if (piece.pages.empty()) {
        piece.pages.assign(kPages, piece.span);
        ++tables_;
      }
      std::fill_n(piece.pages.begin() + static_cast<ptrdiff_t>(page % kPages), next - page, number + 1);
    } else {
      is_whole_ = false;
    }
    page = next;
  }
}

const Span* SpanIndex::search(Address address) const {
  auto at = std::ranges::upper_bound(spans_, address, {}, &Span::begin);
  if (at == spans_.begin()) return nullptr;
  const Span& span = *std::prev(at);
  return span.state == SpanState::in_use && span.range().contains(address) ? &span : nullptr;
}

}  // namespace heapwalk::go
