// From any address to the span around it in O(1): a table of pages, in pieces of 64 MiB.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "heapwalk/runtimes/go/heap.h"

namespace heapwalk::go {

class SpanIndex {
 public:
  // `spans` outlive this: Heap::spans(). Those in use only.
  explicit SpanIndex(std::span<const Span> spans);

  // Thread-safe. Null: no span in use is there.
  const Span* find(Address address) const {
    const uint64_t piece = address.value >> kPieceShift;
    if (piece < first_ || piece - first_ >= pieces_.size()) return nullptr;
    const auto& pages = pieces_[piece - first_];
    if (pages.empty()) return nullptr;
    const uint32_t number = pages[address.value >> kPageShift & (kPages - 1)];
    return number == 0 ? nullptr : &spans_[number - 1];
  }

 private:
  static constexpr uint32_t kPageShift = 13, kPieceShift = 26;
  static constexpr uint64_t kPages = uint64_t{1} << (kPieceShift - kPageShift);
  static constexpr uint64_t kMaxPieces = 1 << 20;  // 64 TiB from the lowest span to the highest one

  std::span<const Span> spans_;
  uint64_t first_ = 0;
  std::vector<std::vector<uint32_t>> pieces_;  // by piece, then by page: the span's number and 1
};

}  // namespace heapwalk::go
