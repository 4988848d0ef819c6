// The container: an ELF core file's headers, checked against the file's real size.
//
//     ┌────────────┬─────────────────┬─────────┬──────────┬──────────┬───┬──────────────────────────┐
//     │ ELF header │ program headers │ notes   │ PT_LOAD  │ PT_LOAD  │ … │ section header 0         │
//     └────────────┴─────────────────┴─────────┴──────────┴──────────┴───┴──────────────────────────┘
//       e_phnum = 0xffff: too many for 16 bits, the count is in section header 0's sh_info (PN_XNUM)
//
// The kernel (fs/binfmt_elf.c) writes the parts in this order, gdb's gcore puts the notes last and leaves unmodified
// file pages out; segments come in any order (`kernel.core_sort_vma`) and may overlap. Only 64-bit little-endian cores
// of the CPUs in dump/arch/ are read, and nothing here believes a number before it has been compared with the file's
// size: what a header promises past the end of the file is counted as missing (a full disk, RLIMIT_CORE).
// Source: System V gABI, "Object Files"; Linux 6.18 fs/binfmt_elf.c.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dump/arch/arch.h"
#include "dump/base/address.h"
#include "dump/base/byte_reader.h"
#include "dump/base/diagnostics.h"
#include "dump/base/result.h"

namespace heapwalk {

struct CoreSegment {   // one PT_LOAD
  AddressRange range;  // p_vaddr, p_memsz
  uint64_t file_offset = 0;
  uint64_t promised_bytes = 0;  // p_filesz, at most the range
  Bytes bytes;                  // the part of them that the file has; shorter in a truncated core
  bool readable = false;
  bool writable = false;
  bool executable = false;
};

struct CoreFile {
  std::string path;
  uint64_t size_bytes = 0;     // after decompression
  uint64_t missing_bytes = 0;  // what the program headers promise past the end of the file
  int64_t modified_seconds = 0;
  const Arch* arch = nullptr;
  std::vector<CoreSegment> segments;  // in the order of the program headers
  std::vector<Bytes> notes;           // the PT_NOTE segments, as far as the file has them
  std::shared_ptr<const void> storage;
};

// Opens, decompresses where needed, reads the headers.
Result<CoreFile> open_core_file(const std::string& path, Diagnostics& diagnostics);
// Reads the headers of a core that is in memory already; `bytes` outlives the result.
Result<CoreFile> read_core_file(const std::string& path, Bytes bytes, Diagnostics& diagnostics);

}  // namespace heapwalk
