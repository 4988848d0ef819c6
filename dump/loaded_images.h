// Which ELF images the process had loaded, told from the core alone, before any file on this machine is opened.
//
// Three witnesses, best first: the dynamic linker's list (link_map.h), the auxiliary vector (AT_PHDR: the program or,
// after `ld.so program`, ld.so; AT_SYSINFO_EHDR: the vDSO), and the file table (NT_FILE). A file that somebody mapped as
// data looks like an image in the file table; what tells them apart is that a loader maps each PT_LOAD by itself, at
// the place where the program headers say, and a reader maps the file flat.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dump/base/diagnostics.h"
#include "dump/image_headers.h"
#include "dump/module_list.h"

namespace heapwalk {

struct LoadedImage {
  std::string path;         // as the linker knew it; else as mapped
  std::string mapped_path;  // in the file table, links resolved; empty without one. " (deleted)" removed
  Address base;             // of the first byte of the file; 0 unknown
  std::optional<uint64_t> bias;
  Address dynamic;   // run-time address of PT_DYNAMIC; 0 unknown or none
  Address link_map;  // of the linker's structure; 0 when not listed
  bool is_executable = false;
  bool is_vdso = false;
  std::optional<ImageHeaders> headers;  // nullopt where the core lacks them
};

// Sorted by base; no two share one.
std::vector<LoadedImage> find_loaded_images(const ModuleInputs& inputs, Diagnostics& diagnostics);

// "/usr/bin/x (deleted)" → "/usr/bin/x".
std::string without_deleted(std::string_view path);

}  // namespace heapwalk
