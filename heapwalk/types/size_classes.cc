#include "heapwalk/types/size_classes.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace heapwalk {
namespace {

std::string power_text(uint32_t exponent) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
  return fmt::format("{}{}", uint64_t{1} << exponent % 10, kUnits[exponent / 10]);
}

constexpr uint32_t kFirstExponent = 10;  // of the first class above kMaxExactSize
constexpr uint32_t kHuge = kSizeClasses - 1;

}  // namespace

uint32_t size_class(uint64_t size_bytes) {
  if (size_bytes <= kMaxExactSize) return static_cast<uint32_t>((size_bytes + 7) / 8);
  const auto exponent = static_cast<uint32_t>(std::bit_width(size_bytes)) - 1;
  return std::min(kSmallSizeClasses + exponent - kFirstExponent, kHuge);
}

std::string size_class_text(uint32_t size_class) {
  if (size_class < kSmallSizeClasses) return fmt::format("{} B", size_class * 8);
  if (size_class == kHuge) return "huge";
  const uint32_t exponent = size_class - kSmallSizeClasses + kFirstExponent;
  return fmt::format("{}..{}", power_text(exponent), power_text(exponent + 1));
}

std::string size_class_name(uint32_t size_class) {
  const bool is_range = size_class >= kSmallSizeClasses && size_class != kHuge;
  return fmt::format("[{}{}", size_class_text(size_class), is_range ? ")" : "]");
}

}  // namespace heapwalk
