// The debug sections of one image, and LLVM's view of them: for the .cc files of this folder only.
//
//     ElfImage ─ sections, expanded once ─► DebugSections ─► one DWARFContext per worker ─► units ─► entries (debug_entry.h)
//
// A context is for one thread; the sections are shared. This header is the only door to LLVM's DWARF.
//
// Source: DWARF 5, chapter 7.
#pragma once

#include <llvm/DebugInfo/DWARF/DWARFAbbreviationDeclaration.h>
#include <llvm/DebugInfo/DWARF/DWARFContext.h>
#include <llvm/DebugInfo/DWARF/DWARFDebugAbbrev.h>
#include <llvm/DebugInfo/DWARF/DWARFDie.h>
#include <llvm/DebugInfo/DWARF/DWARFFormValue.h>
#include <llvm/DebugInfo/DWARF/DWARFObject.h>
#include <llvm/DebugInfo/DWARF/DWARFTypeUnit.h>
#include <llvm/DebugInfo/DWARF/DWARFUnit.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "dump/base/diagnostics.h"
#include "dump/core_options.h"
#include "dump/elf_image.h"
#include "dump/module.h"

namespace heapwalk {

class DebugSections {
 public:
  // The .debug_* sections of the module's own file, or of its separate debug file when that is where they are, and those
  // of the alternate file that dwz made of several. Sections that cannot be read are counted as "damaged_debug_info".
  static DebugSections load(const Module& module, size_t threads, Diagnostics& diagnostics,
                            const CoreOptions& options = {});

  // The .debug_*.dwo sections of a .dwo or .dwp file, and with them the .debug_addr of the file it was split from.
  static DebugSections load_split(const ElfImage& image, const DebugSections& origin, size_t threads,
                                  Diagnostics& diagnostics);

  bool empty() const { return get(is_split_ ? "debug_info.dwo" : "debug_info").empty(); }
  bool is_split() const { return is_split_; }
  const DebugSections* alternate() const { return alternate_.get(); }  // null when there is none
  bool is_alternate() const { return is_alternate_; }
  uint64_t unit_bytes() const;  // of all units, and with them the effort to read them
  Bytes get(std::string_view name_without_dot) const;
  // A section that few readers want, expanded when first asked for; empty when it cannot be read. Thread-safe.
  Bytes get_late(std::string_view name_without_dot) const;
  const std::string& path() const { return path_; }  // of the file, for messages

  // A new context over the sections; this object and `damage` outlive it. What LLVM warns of is counted in `damage`.
  std::unique_ptr<llvm::DWARFContext> make_context(uint64_t& damage) const;
  static const DebugSections& of(const llvm::DWARFUnit& unit);
  const llvm::DWARFUnitVector& units(llvm::DWARFContext& context) const;

 private:
  void load_sections(const ElfImage& image, size_t threads, Diagnostics& diagnostics);
  void drop_lies(Diagnostics& diagnostics);

  std::string path_;
  bool is_split_ = false;
  bool is_alternate_ = false;
  std::shared_ptr<const DebugSections> alternate_;
  std::shared_ptr<const ElfImage> owner_;  // of an alternate file: nobody else keeps it open
  std::map<std::string, SectionData, std::less<>> sections_;
  struct Late;
  const ElfImage* image_ = nullptr;  // outlives this
  std::shared_ptr<Late> late_;
};

}  // namespace heapwalk
