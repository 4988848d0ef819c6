// Many small arrays on few large pages: an array that is stored stays where it is as long as the arena lives.
//
// Blocks of rows are filled by several workers and of unknown size until they are done. Stored here they need no
// second copy to lie side by side, and random access to them misses no more address translations than one array would.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <type_traits>
#include <vector>

#include "heapwalk/large_pages.h"

namespace heapwalk {

class LargeArena {
 public:
  // A copy of `values`. Thread-safe.
  template <class T>
  std::span<const T> store(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= kAlignment);
    if (values.empty()) return {};
    std::byte* place = take(values.size_bytes());
    std::memcpy(place, values.data(), values.size_bytes());
    return {reinterpret_cast<const T*>(place), values.size()};
  }

 private:
  static constexpr size_t kAlignment = 8;
  static constexpr size_t kChunkBytes = size_t{32} << 20;

  struct Chunk {
    std::unique_ptr<std::byte[]> bytes;
    size_t capacity;
    size_t used;
  };

  std::byte* take(size_t bytes) {
    bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    const std::lock_guard lock(mutex_);
    if (chunks_.empty() || chunks_.back().capacity - chunks_.back().used < bytes) {
      const size_t capacity = std::max(bytes, kChunkBytes);
      chunks_.push_back({std::make_unique_for_overwrite<std::byte[]>(capacity), capacity, 0});
      advise_large(chunks_.back().bytes.get(), capacity);
    }
    Chunk& chunk = chunks_.back();
    chunk.used += bytes;
    return chunk.bytes.get() + chunk.used - bytes;
  }

  std::mutex mutex_;
  std::vector<Chunk> chunks_;
};

}  // namespace heapwalk
