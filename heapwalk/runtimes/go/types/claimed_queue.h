// Objects that are to be walked, in pieces that one worker takes at once. Pieces that were walked are filled again: a level of the
// search is followed by one of the same size, more or less.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "dump/base/address.h"

namespace heapwalk::go {

struct Claimed {
  Address start;  // of the slot
  uint32_t object = 0;
  uint16_t kind = 0;
};

class ClaimedQueue {
 public:
  static constexpr size_t kPiece = size_t{1} << 10;
  struct Piece {
    std::array<Claimed, kPiece> claims;
    size_t size;
    std::span<const Claimed> used() const { return std::span(claims).first(size); }
  };
  using Pieces = std::vector<std::unique_ptr<Piece>>;

  void push(const Claimed& claim) {
    if (pieces_.empty() || pieces_.back()->size == kPiece) add_piece();
    Piece& last = *pieces_.back();
    last.claims[last.size++] = claim;
  }
  size_t size() const { return pieces_.empty() ? 0 : (pieces_.size() - 1) * kPiece + pieces_.back()->size; }
  Pieces take() { return std::exchange(pieces_, {}); }
  void give_back(std::unique_ptr<Piece> piece) { spare_.push_back(std::move(piece)); }

 private:
  void add_piece() {
    if (spare_.empty()) {
      pieces_.push_back(std::make_unique_for_overwrite<Piece>());
    } else {
      pieces_.push_back(std::move(spare_.back()));
      spare_.pop_back();
    }
    pieces_.back()->size = 0;
  }

  Pieces pieces_, spare_;
};

}  // namespace heapwalk::go
