#include "dump/stored_parts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace heapwalk {

std::optional<StoredParts> StoredParts::of(const CoreDump& dump) {
  StoredParts parts(::open(dump.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status;
  if (parts.descriptor_ < 0 || ::fstat(parts.descriptor_, &status) != 0 || !S_ISREG(status.st_mode))
    return std::nullopt;
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size != dump.file_size_bytes) return std::nullopt;
  const off_t hole = ::lseek(parts.descriptor_, 0, SEEK_HOLE);  // the end of the file counts as one
  if (hole < 0 || static_cast<uint64_t>(hole) >= size) return std::nullopt;
  return parts;
}

StoredParts::StoredParts(StoredParts&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

StoredParts::~StoredParts() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

uint64_t StoredParts::bytes(const Mapping& mapping, AddressRange part) const {
  part = part.intersect(AddressRange::of(mapping.range.begin, mapping.bytes_in_core));
  if (part.empty()) return 0;
  auto at = static_cast<off_t>(mapping.core_offset + (part.begin - mapping.range.begin));
  const off_t end = at + static_cast<off_t>(part.size_bytes());
  uint64_t result = 0;
  while (at < end) {
    const off_t data = ::lseek(descriptor_, at, SEEK_DATA);
    if (data < 0 || data >= end) break;
    const off_t hole = ::lseek(descriptor_, data, SEEK_HOLE);
    if (hole <= data) break;
    result += static_cast<uint64_t>(std::min(hole, end) - data);
    at = hole;
  }
  return result;
}

}  // namespace heapwalk
