#include "heapwalk/runtimes/go/span_index.h"

#include <algorithm>

namespace heapwalk::go {

SpanIndex::SpanIndex(std::span<const Span> spans) : spans_(spans) {
  if (spans.empty()) return;
  first_ = spans.front().begin.value >> kPieceShift;
  for (uint32_t number = 0; number < spans.size(); ++number) {
    const AddressRange range = spans[number].range();
    if (spans[number].state != SpanState::in_use || range.empty()) continue;
    const uint64_t last_page = (range.end.value - 1) >> kPageShift;
    for (uint64_t page = range.begin.value >> kPageShift; page <= last_page; ++page) {
      const uint64_t piece = page / kPages;
      if (piece < first_ || piece - first_ >= kMaxPieces) break;
      if (piece - first_ >= pieces_.size()) pieces_.resize(piece - first_ + 1);
      std::vector<uint32_t>& pages = pieces_[piece - first_];
      if (pages.empty()) pages.resize(kPages);
      pages[page % kPages] = number + 1;
    }
  }
}

}  // namespace heapwalk::go
