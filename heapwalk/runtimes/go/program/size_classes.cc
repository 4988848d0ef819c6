#include "heapwalk/runtimes/go/program/size_classes.h"

#include <array>
#include <cstddef>

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxSmall = 32768;
constexpr std::array<uint16_t, 67> kSizes = {
    8,    16,   24,    32,    48,    64,    80,    96,    112,   128,   144,   160,   176,   192,   208,   224,  240,
    256,  288,  320,   352,   384,   416,   448,   480,   512,   576,   640,   704,   768,   896,   1024,  1152, 1280,
    1408, 1536, 1792,  2048,  2304,  2688,  3072,  3200,  3456,  4096,  4864,  5376,  6144,  6528,  6784,  6912, 8192,
    9472, 9728, 10240, 10880, 12288, 13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768};

// By the request's words, rounded up: the size it gets, in words.
constexpr auto kSlotWords = [] {
  std::array<uint16_t, kMaxSmall / 8 + 1> words{};
  for (size_t size = 0, request = 1; request < words.size(); ++request) {
    while (kSizes[size] < request * 8) ++size;
    words[request] = kSizes[size] / 8;
  }
  return words;
}();

}  // namespace

bool is_slot_for(uint64_t request_bytes, uint64_t slot_bytes) {
  if (request_bytes == 0 || request_bytes > slot_bytes) return false;
  if (slot_bytes > kMaxSmall) return slot_bytes - request_bytes < kPageBytes;
  return uint64_t{kSlotWords[(request_bytes + 7) / 8]} * 8 == slot_bytes;
}

}  // namespace heapwalk::go
