// Numbers of variable length: seven bits per byte, lowest first, the top bit says that more follow.
// Source: DWARF 5 §7.6.
#pragma once

#include <cstdint>
#include <optional>

#include "dump/base/byte_reader.h"

namespace heapwalk {

// Bits beyond the 64th are dropped, bytes beyond the tenth are an error.
inline std::optional<uint64_t> read_uleb(ByteReader& reader) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    auto byte = reader.read<uint8_t>();
    if (!byte) return std::nullopt;
    value |= uint64_t{*byte & 0x7fu} << shift;
    if ((*byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

inline std::optional<int64_t> read_sleb(ByteReader& reader) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    auto byte = reader.read<uint8_t>();
    if (!byte) return std::nullopt;
    value |= uint64_t{*byte & 0x7fu} << shift;
    if ((*byte & 0x80) != 0) continue;
    const bool is_negative = (*byte & 0x40) != 0;
    if (is_negative && shift + 7 < 64) value |= ~uint64_t{0} << (shift + 7);
    return static_cast<int64_t>(value);
  }
  return std::nullopt;
}

}  // namespace heapwalk
