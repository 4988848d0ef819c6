// A regular file, mapped read-only for as long as the object lives.
//
// Nothing is read before it is looked at, so a core of 200 GB opens at once, and its holes cost nothing. Only regular
// files: a pipe, a device or a directory has no bytes to map, and opening a pipe could wait for ever.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "dump/base/byte_reader.h"
#include "dump/base/result.h"

namespace heapwalk {

class MappedFile {
 public:
  // Errors: one line with the path and the system's reason, or what the path is instead of a regular file.
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);
  // Maps what the descriptor refers to; the descriptor stays the caller's. `path` is for messages.
  static Result<std::shared_ptr<const MappedFile>> map(int descriptor, const std::string& path);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Bytes bytes() const { return {data_, size_bytes_}; }
  int64_t modified_seconds() const { return modified_seconds_; }

 private:
  MappedFile() = default;

  const std::byte* data_ = nullptr;
  uint64_t size_bytes_ = 0;
  int64_t modified_seconds_ = 0;
};

}  // namespace heapwalk
