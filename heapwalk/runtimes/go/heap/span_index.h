// From any address to the span around it in O(1): a table of pages for each 64 MiB, or one number where a span covers them all.
//
// Spans that damaged memory spreads over the address space would take tables without end: beyond a terabyte of heap, and too
// far from the lowest span, they are searched instead.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapwalk/runtimes/go/heap/heap.h"

namespace heapwalk::go {

class SpanIndex {
 public:
  // `spans` outlive this: Heap::spans(). Those in use are found.
  explicit SpanIndex(std::span<const Span> spans);

  // Thread-safe. Null: no span in use is there.
  const Span* find(Address address) const {
    const uint64_t number = address.value >> kPieceShift;
    if (number < first_ || number - first_ >= pieces_.size()) return is_whole_ ? nullptr : search(address);
    const Piece& piece = pieces_[number - first_];
    const uint32_t span = piece.pages.empty() ? piece.span : piece.pages[address.value >> kPageShift & (kPages - 1)];
    if (span == 0) return is_whole_ ? nullptr : search(address);
    return &spans_[span - 1];
  }

 private:
  static constexpr uint32_t kPageShift = 13, kPieceShift = 26;
  static constexpr uint64_t kPages = uint64_t{1} << (kPieceShift - kPageShift);

  struct Piece {                  // 64 MiB
    uint32_t span = 0;            // the only one: its number and 1; 0: none
    std::vector<uint32_t> pages;  // or that of each page
  };
  void add(uint32_t number);
  const Span* search(Address address) const;

  std::span<const Span> spans_;
  uint64_t first_ = 0;
  std::vector<Piece> pieces_;
  size_t tables_ = 0;
  bool is_whole_ = true;  // all spans are in the pieces
};

}  // namespace heapwalk::go
