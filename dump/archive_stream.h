// A compressed stream, block by block: zstd, lz4, xz, gzip or bzip2, whichever its first bytes say.
//
// The one door to libarchive, which has all five behind one interface. Only formats that it reads inside this process are
// switched on: for some others it would start programs.
#pragma once

#include <memory>
#include <string>

#include "dump/base/byte_reader.h"
#include "dump/base/result.h"

namespace heapwalk {

class ArchiveStream {
 public:
  // Borrows the bytes. Error: no such stream (the message is a reason, without a file name).
  static Result<ArchiveStream> open(Bytes compressed);
  ~ArchiveStream();
  ArchiveStream(ArchiveStream&&) noexcept;
  ArchiveStream& operator=(ArchiveStream&&) noexcept;

  int compressions() const;  // 1; 0 when nothing was compressed; more for streams inside each other
  // The next block, valid until the next call; empty at the end. Error: damaged or cut off here.
  Result<Bytes> next();

 private:
  struct Closer {
    void operator()(void* reader) const;
  };
  explicit ArchiveStream(std::unique_ptr<void, Closer> reader);
  std::unique_ptr<void, Closer> reader_;  // libarchive's
};

}  // namespace heapwalk
