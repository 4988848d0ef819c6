// Where a document goes, piece by piece.
//
// Writers append text; an Output passes it on in blocks, so that a table with 30 million rows never exists in memory.
// After a block could not be delivered (a full disk, a reader that went away) ok() is false and further text is
// dropped: a writer of many rows asks ok() to stop early, all others need not care.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace heapwalk {

class Output {
 public:
  // `deliver` receives blocks in order and returns false when it cannot go on.
  explicit Output(std::function<bool(std::string_view)> deliver) : deliver_(std::move(deliver)) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void write(std::string_view text) {
    buffer_.append(text);
    if (buffer_.size() >= kBlockBytes) flush();
  }
  template <class... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(buffer_), format, std::forward<Args>(args)...);
    if (buffer_.size() >= kBlockBytes) flush();
  }
  bool flush() {
    if (ok_ && !buffer_.empty()) ok_ = deliver_(buffer_);
    buffer_.clear();
    return ok_;
  }
  bool ok() const { return ok_; }

 private:
  static constexpr size_t kBlockBytes = 64 * 1024;
  std::function<bool(std::string_view)> deliver_;
  std::string buffer_;
  bool ok_ = true;
};

}  // namespace heapwalk
