// A core file, opened: the first stage, and the owner of every byte that later stages look at.
//
//     core file ─ decompress ─ ELF header ─ program headers ─ notes ─► process, threads, mappings
//               link map, file table, build ids ───────────────────► modules ─► bytes of unmodified pages
//
// The CoreDump owns all file mappings; spans, string_views and Region::data elsewhere borrow from it, so it outlives
// every other stage's output. Nothing in it changes after open_core_dump returned.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dump/address_space.h"
#include "dump/base/diagnostics.h"
#include "dump/base/result.h"
#include "dump/core_options.h"
#include "dump/module.h"
#include "dump/thread.h"

namespace heapwalk {

struct Process {
  uint32_t pid = 0;
  std::string command;    // pr_fname: at most 15 characters
  std::string arguments;  // pr_psargs: at most 79 characters
  int signal = 0;         // 0: no crash (gcore of a running process)
  int signal_code = 0;
  std::optional<Address> fault_address;  // SIGSEGV, SIGBUS, SIGILL, SIGFPE
  int64_t time_seconds = 0;              // of the dump: the core file's modification time
  Architecture architecture = Architecture::x86_64;
};

// One mapping of the process (a line of /proc/PID/maps), from PT_LOAD and NT_FILE. Sorted, disjoint.
struct Mapping {
  AddressRange range;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  std::string path;  // empty: anonymous. " (deleted)" removed
  uint64_t file_offset = 0;
  uint64_t bytes_in_core = 0;  // p_filesz, less what a truncated core lost
  uint64_t core_offset = 0;    // of these bytes in the (unpacked) core file
};

struct CoreDump {
  std::string path;
  uint64_t file_size_bytes = 0;  // after decompression
  uint64_t missing_bytes = 0;    // of a truncated core: what its program headers promise past its end
  Process process;
  std::vector<Thread> threads;  // the crashed thread first, as the kernel writes them
  std::vector<Mapping> mappings;
  std::vector<Module> modules;  // by address
  std::vector<std::pair<uint64_t, uint64_t>> auxv;
  AddressSpace memory;
  // Stacks of threads that have ended, in the C library's cache or not joined yet. What lies there is garbage, never a
  // root; the words that the C library will still use (a result not yet fetched, the dtv pointer) are left out of
  // the ranges. Sorted, disjoint; empty where the C library's lists could not be read.
  std::vector<AddressRange> dead_stacks;
  Diagnostics diagnostics;

  std::shared_ptr<const void> storage;  // keeps the file mappings alive

  const Module* find_module(Address address) const;
  const Module* executable() const;
  const Module* find_module_by_name(std::string_view prefix) const;  // "libc.so": the first in the link map
  const Mapping* find_mapping(Address address) const;
  std::optional<uint64_t> auxv_value(uint64_t type) const;
};

// Errors: the file cannot be opened or read, is no ELF file, no core file, 32-bit, or of an unknown CPU; BINARY is
// unusable or its build id differs. Everything less is in `diagnostics`.
Result<CoreDump> open_core_dump(const std::string& path, const CoreOptions& options);

}  // namespace heapwalk
