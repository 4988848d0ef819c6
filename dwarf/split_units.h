// Split DWARF: units whose entries are in files of their own, which the linker never saw.
//
//     program  ┌ skeleton: dwo name, directory, id ───► x.dwo (or a unit of program.dwp): id, entries, strings
//              ├ .debug_addr, address base      ◄────── DW_OP_addrx 3
//              └ .debug_line                    ◄────── DW_AT_decl_file 3
//
// A name is a hint, the id is the proof: a hash of the unit that compilers put into both. A .dwo file of another build is
// refused. `dwp` packs all .dwo files of a program into one; its index says which part of each section is whose.
// Source: DWARF 5 §3.1.2, §3.1.3, §7.3.2, §7.3.5; before DWARF 5, GCC's wiki "DebugFission" (DW_AT_GNU_dwo_name …).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/diagnostics.h"
#include "dump/core_options.h"
#include "dump/elf_image.h"
#include "dump/module.h"
#include "dwarf/address_lists.h"
#include "dwarf/debug_entry.h"
#include "dwarf/line_files.h"

namespace heapwalk {

struct Skeleton {
  uint64_t id = 0;
  std::string_view dwo_name = {};  // borrows from the sections
  std::string_view directory = {};
  std::optional<uint64_t> address_base = std::nullopt;  // of the split unit's addresses in .debug_addr
  LineTable lines = {};
  SkeletonBases bases = {};
  bool has_frames = false;  // a wanted pc is in the unit
};

// Nullopt: the unit is an ordinary one.
std::optional<Skeleton> read_skeleton(const DebugSections& sections, const Die& unit_die);

// A .dwo file, which link-time optimisation fills with several units.
struct SplitFile {
  std::vector<std::string> paths;  // where it may be, best first
  std::vector<Skeleton> skeletons;
};
std::vector<SplitFile> split_files(std::span<const Skeleton> skeletons, const DebugSections& origin,
                                   const CoreOptions& options);

// The package beside the module's own file or its debug file; null when there is none.
std::shared_ptr<const ElfImage> find_package(const Module& module, const CoreOptions& options,
                                             Diagnostics& diagnostics);

// Why units of .dwo files could not be read, one line for each reason, with the first file's name.
class SplitLosses {
 public:
  enum Reason : uint8_t { missing, other_build, damaged };
  void add(Reason reason, const std::string& file, uint64_t units);
  void report(const std::string& origin, Diagnostics& diagnostics) const;

 private:
  struct Loss {
    std::string first;
    uint64_t units = 0;
  };
  Loss losses_[3];
};

}  // namespace heapwalk
