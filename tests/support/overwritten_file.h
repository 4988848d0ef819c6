// A copy of an ELF file, a core or a program, some words of which a test replaces by address, and puts back.
//
// Unlike PatchedCore it goes through the whole of analyze(), from the file on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dump/base/address.h"

namespace heapwalk::test {

class OverwrittenFile {
 public:
  // Takes the file as it is: it is the test's own. Addresses are those of its program headers (64 bits, little endian).
  explicit OverwrittenFile(std::string path);
  ~OverwrittenFile();
  OverwrittenFile(const OverwrittenFile&) = delete;
  OverwrittenFile& operator=(const OverwrittenFile&) = delete;

  bool is_open() const { return file_ >= 0; }
  bool has(Address address, size_t size_bytes) const { return offset_of(address, size_bytes).has_value(); }
  // The lowest `size_bytes` (1 to 8) of the value. False when the file has no bytes there.
  bool write(Address address, uint64_t value, size_t size_bytes = 8);
  void restore();  // all that was written

 private:
  struct Segment {
    AddressRange range;
    uint64_t offset;
  };
  struct Written {
    uint64_t offset, value;
    size_t size_bytes;
  };
  std::optional<uint64_t> offset_of(Address address, size_t size_bytes) const;

  int file_ = -1;
  std::vector<Segment> segments_;
  std::vector<Written> written_;
};

}  // namespace heapwalk::test
