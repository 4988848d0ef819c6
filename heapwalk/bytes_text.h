// Numbers as people read them, the same way in every text that heapwalk writes.
//
// Bytes are written as pprof writes them, so that a report and its profile can be compared at sight: 1 kB = 1024 B,
// 1 MB = 1024 kB and so on, two decimals above bytes. Counts have a comma per three digits.
#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

namespace heapwalk {

// "512B", "12.50MB", "3.00GB".
inline std::string bytes_text(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{}B", bytes);
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return fmt::format("{:.2f}{}", value, kUnits[unit]);
}

// 1234567 → "1,234,567".
inline std::string count_text(uint64_t count) {
  std::string digits = fmt::format("{}", count);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

}  // namespace heapwalk
