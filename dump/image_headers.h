// The headers of an ELF image as they lie in the process's memory.
//
// The kernel dumps the first page of every mapped ELF file (coredump_filter bit 4) because it identifies the file: the
// ELF header, the program headers and, nearly always, the note with the build id. They say where the image's segments
// lie and which file on disk is the same one, without that file.
// Source: Linux fs/coredump.c, vma_dump_size(); System V gABI, "Program Header".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dump/address_space.h"
#include "dump/elf_image.h"

namespace heapwalk {

struct ImageHeaders {
  Address base;       // of the ELF header
  uint64_t bias = 0;  // run-time minus link address
  bool position_independent = false;
  uint64_t entry = 0;  // link address
  std::vector<ElfSegment> segments;
  std::string build_id;         // empty: none, or unreadable
  bool notes_readable = false;  // false: an empty build_id says nothing

  const ElfSegment* find_segment(uint32_t type) const;
  Address dynamic() const;  // run-time address of PT_DYNAMIC; 0 when there is none
};

// The link address that the image's first byte has: that of the first PT_LOAD, less what precedes it in the file.
// Nullopt when there is no PT_LOAD.
std::optional<uint64_t> image_link_base(std::span<const ElfSegment> segments);

// Nullopt when `base` does not hold a 64-bit ELF header of an executable or shared object with program headers in
// readable memory.
std::optional<ImageHeaders> read_image_headers(const AddressSpace& memory, Address base);

// The image whose program headers lie at `program_headers` (AT_PHDR).
std::optional<ImageHeaders> read_image_headers_around(const AddressSpace& memory, Address program_headers);

}  // namespace heapwalk
