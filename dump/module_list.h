// The modules of a process: which ELF images were loaded, where, and which files on this machine hold their bytes.
//
//     auxv ─ AT_PHDR ─► program headers ─► PT_DYNAMIC ─► DT_DEBUG ─► r_debug ─► link_map ─► link_map ─► …
//     NT_FILE ────────► mapped files ──────────────────────────────────────────► image start, path
//
// The dynamic linker's own list (System V gABI, "Dynamic Linking"; glibc `elf/link.h`, `struct r_debug`) is the
// authority on what is a module and what is a file that somebody mapped as data. NT_FILE supplies the paths, and
// stands in where the list cannot be read: static programs, a truncated core. The vDSO is known from AT_SYSINFO_EHDR.
//
// A file on this machine supplies bytes only when its build id is the one of the image in the core; the ranges that
// it supplies come back as `file_regions` for the AddressSpace.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dump/address_space.h"
#include "dump/base/diagnostics.h"
#include "dump/base/result.h"
#include "dump/core_options.h"
#include "dump/module.h"
#include "dump/thread.h"

namespace heapwalk {

struct FileMapping {  // one entry of NT_FILE
  AddressRange range;
  uint64_t file_offset = 0;  // bytes
  std::string path;
};

struct ModuleInputs {
  const AddressSpace* core_memory = nullptr;  // the bytes that the core itself has
  std::span<const FileMapping> file_mappings;
  std::span<const std::pair<uint64_t, uint64_t>> auxv;
  const CoreOptions* options = nullptr;
  Architecture architecture = Architecture::x86_64;
  std::string core_path;  // for messages
};

struct ModuleList {
  std::vector<Module> modules;          // by address
  std::vector<Region> file_regions;     // bytes that matching files supply; the core's own bytes win over them
  std::shared_ptr<const void> storage;  // keeps the regions' file mappings alive
};

// Errors: the user's BINARY cannot be used, or its build id differs from the core's. Everything less is a diagnostic.
Result<ModuleList> find_modules(const ModuleInputs& inputs, Diagnostics& diagnostics);

}  // namespace heapwalk
