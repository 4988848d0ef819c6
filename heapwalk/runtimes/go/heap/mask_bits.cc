#include "heapwalk/runtimes/go/heap/mask_bits.h"

#include <algorithm>

namespace heapwalk::go {
namespace {

uint64_t low_bits(uint64_t bits, uint64_t count) {
  return count >= 64 ? bits : bits & ((uint64_t{1} << count) - 1);
}

}  // namespace

void MaskBits::append(uint64_t bits, uint64_t count) {
  count = std::min(count, limit_ - size_);
  if (count == 0) return;
  bits = low_bits(bits, count);
  const uint64_t shift = size_ % 64;
  if (shift == 0) {
    words_.push_back(bits);
  } else {
    words_.back() |= bits << shift;
    if (shift + count > 64) words_.push_back(bits >> (64 - shift));
  }
  size_ += count;
}

void MaskBits::append(Bytes bits, uint64_t count) {
  while (count >= 64 && !is_full()) {
    append(load<uint64_t>(bits.data()), 64);
    bits = bits.subspan(8);
    count -= 64;
  }
  for (size_t i = 0; count > 0 && !is_full(); ++i) {
    const uint64_t some = std::min<uint64_t>(count, 8);
    append(static_cast<uint64_t>(bits[i]), some);
    count -= some;
  }
}

void MaskBits::pad_to(uint64_t size) {
  size = std::min(size, limit_);
  if (size <= size_) return;
  words_.resize((size + 63) / 64);
  size_ = size;
}

uint64_t MaskBits::get(uint64_t at, uint64_t count) const {
  const uint64_t word = at / 64, shift = at % 64;
  uint64_t bits = words_[word] >> shift;
  if (shift + count > 64) bits |= words_[word + 1] << (64 - shift);
  return low_bits(bits, count);
}

bool MaskBits::repeat(uint64_t period, uint64_t times) {
  if (period == 0 || period > size_) return false;
  const uint64_t room = limit_ - size_;
  uint64_t left = times > room / period ? room : times * period;
  // What was repeated once is a longer pattern for the rest.
  uint64_t pattern = period, copied = 0;
  while (left > 0) {
    const uint64_t some = std::min({uint64_t{64}, left, pattern});
    append(get(size_ - pattern, some), some);
    left -= some;
    copied += some;
    if (pattern < 64 && copied + period >= 2 * pattern) pattern *= 2;
  }
  return true;
}

}  // namespace heapwalk::go
