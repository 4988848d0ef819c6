// Classes of usable sizes, to name what nothing else is known of: up to 1 KiB a class each (8-byte steps), larger ones a
// class per power of two.
#pragma once

#include <cstdint>
#include <string>

namespace heapwalk {

constexpr uint64_t kMaxExactSize = 1024;  // bytes: up to here a class is one size
constexpr uint32_t kSmallSizeClasses = kMaxExactSize / 8 + 1;
constexpr uint32_t kSizeClasses = kSmallSizeClasses + 54;

uint32_t size_class(uint64_t size_bytes);  // below kSizeClasses
// "48 B"; "4KB..8KB".
std::string size_class_text(uint32_t size_class);
// "[48 B]"; "[4KB..8KB)".
std::string size_class_name(uint32_t size_class);

}  // namespace heapwalk
