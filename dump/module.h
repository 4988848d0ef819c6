// One ELF image of the process: the executable, a shared object, ld.so, the vDSO.
//
// Where an image lies is two numbers, and they meet in one place only:
//
//     run-time address = link address (what the file says) + bias (where the loader put it)
//
// A module is known from the dynamic linker's own list and from the core's file table; its *file* may be missing on
// this machine (another container, a deleted binary), and then `image` is null, symbols are empty and the module's
// data is still scanned: only names are lost, and a diagnostic says so.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/address.h"
#include "dump/symbols.h"

namespace heapwalk {

class ElfImage;  // dump/elf_image.h: an ELF file opened through LLVM Object

struct ModuleSegment {  // one PT_LOAD, run-time addresses, page-rounded as the loader maps it
  AddressRange range;
  AddressRange file_backed;  // the part that the file's bytes initialise; the rest is .bss
  uint64_t file_offset = 0;
  bool writable = false;
  bool executable = false;
  bool relro = false;  // made read-only after relocation; such a part of a PT_LOAD is a segment of its own here
};

struct ModuleSection {  // a section's name and run-time range: names what no symbol covers (".data", ".bss")
  std::string name;
  AddressRange range;
  bool writable = false;
};

struct TlsTemplate {  // PT_TLS
  uint64_t size_bytes = 0;
  uint64_t alignment = 1;
  uint64_t link_address = 0;
  uint64_t module_id = 0;  // l_tls_modid; 0 unknown
  // x86-64: block = thread pointer − offset; AArch64: thread pointer + offset. Nullopt when dynamic only.
  std::optional<uint64_t> static_offset;
};

struct Module {
  std::string path;      // as the process knew it; " (deleted)" removed
  std::string name;      // the path's last part: "libc.so.6"
  std::string build_id;  // lower-case hex: of the image in the core, else of the file taken for it; or empty
  uint64_t bias = 0;
  AddressRange range;          // all segments
  Address dynamic;             // run-time address of PT_DYNAMIC, 0 when static
  bool is_executable = false;  // the main program
  bool in_link_map = false;    // listed by the dynamic linker (a file mapped as data is not)

  std::vector<ModuleSegment> segments;
  std::vector<ModuleSection> sections;  // empty when neither file is there
  std::optional<TlsTemplate> tls;

  std::string file_path;                        // the file on this machine that matched; empty when missing
  std::string debug_file_path;                  // the separate debug file in use; empty when none
  std::shared_ptr<const ElfImage> image;        // null when missing
  std::shared_ptr<const ElfImage> debug_image;  // null when none
  SymbolTable symbols;

  Address to_runtime(uint64_t link_address) const { return Address{link_address + bias}; }
  uint64_t to_link(Address address) const { return address.value - bias; }

  const Symbol* find_symbol(Address address) const { return symbols.find(to_link(address)); }
  // The run-time address of a symbol by its exact name.
  std::optional<AddressRange> symbol_range(std::string_view name) const;
};

}  // namespace heapwalk
