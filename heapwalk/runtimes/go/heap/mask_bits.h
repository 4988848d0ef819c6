// A pointer mask while it is written: bits in order, never beyond the length that was asked for.
//
//     append   ├1 0 1┤
//     pad      ├1 0 1┤0 0 0 0 0┤
//     repeat   ├1 0 1 0 0 0 0 0┤1 0 1 0 0 0 0 0┤…     the last n bits again, as often as wanted
//
// A program for the mask of [1000000]T is a few bytes that repeat: repeating copies 64 bits at a time, however short the
// pattern is.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dump/base/byte_reader.h"

namespace heapwalk::go {

class MaskBits {
 public:
  explicit MaskBits(uint64_t limit_bits) : limit_(limit_bits) { words_.reserve(limit_bits / 64 + 1); }

  uint64_t size() const { return size_; }
  bool is_full() const { return size_ == limit_; }

  // The lowest `count` bits of `bits`, count <= 64. What does not fit is dropped; so in all of these.
  void append(uint64_t bits, uint64_t count);
  void append(Bytes bits, uint64_t count);  // lowest bit of the first byte first; bits.size() * 8 >= count
  void pad_to(uint64_t size);               // with zeros
  // False when fewer than `period` bits are there, or none is asked for.
  bool repeat(uint64_t period, uint64_t times);

  // Whole words, the rest of the last one zero.
  std::vector<uint64_t> finish() && { return std::move(words_); }

 private:
  uint64_t get(uint64_t at, uint64_t count) const;  // count <= 64, at + count <= size()

  uint64_t limit_, size_ = 0;
  std::vector<uint64_t> words_;
};

}  // namespace heapwalk::go
