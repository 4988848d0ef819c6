// A cursor over untrusted bytes.
//
// A read that would pass the end fails and does not advance: the cursor still stands where the failure happened, so
// that a message can say "at offset N". Values are little-endian, as are all targets that heapwalk reads; loads go
// through memcpy because nothing in a core file is aligned for certain (gcore writes segments at odd offsets).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace heapwalk {

using Bytes = std::span<const std::byte>;

// The value at `data`, which need not be aligned. The caller has checked that sizeof(T) bytes are there.
template <class T>
T load(const std::byte* data) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) : bytes_(bytes) {}

  size_t offset() const { return offset_; }
  size_t remaining() const { return bytes_.size() - offset_; }

  // False, and no move, when `offset` is past the end.
  bool seek(size_t offset) {
    if (offset > bytes_.size()) return false;
    offset_ = offset;
    return true;
  }
  bool skip(size_t size) { return size <= remaining() && seek(offset_ + size); }

  template <class T>
  std::optional<T> read() {
    if (remaining() < sizeof(T)) return std::nullopt;
    T value = load<T>(bytes_.data() + offset_);
    offset_ += sizeof(T);
    return value;
  }

  // Exactly `size` bytes, borrowed.
  std::optional<Bytes> read_bytes(size_t size) {
    if (remaining() < size) return std::nullopt;
    Bytes result = bytes_.subspan(offset_, size);
    offset_ += size;
    return result;
  }

  // The text up to the next NUL, which is consumed and not returned. Fails when no NUL follows.
  std::optional<std::string_view> read_c_string() {
    if (remaining() == 0) return std::nullopt;
    const auto* begin = reinterpret_cast<const char*>(bytes_.data() + offset_);
    const void* nul = std::memchr(begin, 0, remaining());
    if (nul == nullptr) return std::nullopt;
    std::string_view text(begin, static_cast<const char*>(nul) - begin);
    offset_ += text.size() + 1;
    return text;
  }

 private:
  Bytes bytes_;
  size_t offset_ = 0;
};

}  // namespace heapwalk
