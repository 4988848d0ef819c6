// Which pages of the process were resident, as far as the core file's holes tell.
//
//     the process     ████░░░░████████░░      ░ never touched, or given back to the system
//     the core file   ████    ████████        the kernel skips over what was not resident: holes in the file
//
// Only a file as the kernel wrote it says so: a copy may have lost its holes, and a compressed one has none. Then nothing is
// known. Source: Linux 6.18 fs/coredump.c (dump_user_range), lseek(2).
#pragma once

#include <cstdint>
#include <optional>

#include "dump/core_dump.h"

namespace heapwalk {

class StoredParts {
 public:
  // Null where the file has no holes at all, is compressed, or cannot be opened any more.
  static std::optional<StoredParts> of(const CoreDump& dump);
  StoredParts(StoredParts&& other) noexcept;
  StoredParts& operator=(StoredParts&&) = delete;
  ~StoredParts();

  // Of the part of a mapping: bytes that are no hole.
  uint64_t bytes(const Mapping& mapping, AddressRange part) const;

 private:
  explicit StoredParts(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace heapwalk
