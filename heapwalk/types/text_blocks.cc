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

}  // namespace

bool is_text_block(Bytes block, uint64_t size_bytes) {
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
