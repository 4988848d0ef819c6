#include "heapwalk/types/text_blocks.h"

#include <algorithm>

namespace heapwalk {
namespace {

constexpr size_t kMaxHeader = 24;
constexpr size_t kLeastText = 7;  // an address has 6 bytes that can look like text
constexpr size_t kRounding = 16;  // malloc's

bool is_printable(std::byte byte) {
  const auto c = static_cast<uint8_t>(byte);
  return (c >= ' ' && c < 0x7f) || c == '\t' || c == '\n' || c == '\r';
}

// Of seven bytes in a row at least one is the last or last but one of its word, which in addresses and small numbers is 0:
// four loads tell most blocks that are no text.
bool may_begin_text(Bytes block) {
  constexpr size_t kLook = kMaxHeader + 8;
  if (block.size() < kLook) return true;
  for (size_t word = 0; word < kLook; word += 8) {
    if (is_printable(block[word + 6]) || is_printable(block[word + 7])) return true;
  }
  return false;
}

}  // namespace

bool is_text_block(Bytes block, uint64_t size_bytes) {
  if (!may_begin_text(block)) return false;
  // The longest run that begins in the header or right behind it.
  size_t longest = 0;
  for (size_t begin = 0; begin < block.size() && begin <= kMaxHeader; ++begin) {
    const auto end = std::find_if_not(block.begin() + static_cast<ptrdiff_t>(begin), block.end(), is_printable);
    const auto length = static_cast<size_t>(end - block.begin()) - begin;
    if (end != block.end() ? *end == std::byte{0} : block.size() < size_bytes) longest = std::max(longest, length);
    begin += length;
  }
  return longest >= kLeastText && longest * 2 + kRounding > std::min<uint64_t>(block.size(), size_bytes);
}

}  // namespace heapwalk
