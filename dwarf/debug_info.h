// The DWARF of one image, through LLVM's building blocks: for the .cc files of this folder only.
//
//     ElfImage ─ sections, expanded once ─► DebugSections ─► one DWARFContext per worker ─► units ─► DIEs, one at a time
//
// LLVM keeps 24 bytes for every debugging entry of a unit once it is asked for a tree, and a client cannot make it forget
// them (1 GB for a 380 MB .debug_info). So trees are never asked for: an entry is decoded where it stands, looked at
// and dropped, and whoever needs parents keeps a stack of offsets. A context is for one thread; the sections are shared.
//
// Source: DWARF 5, chapters 2 and 7; LLVM 19, DWARFDebugInfoEntry::extractFast, which trusts the sizes of blocks.
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
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

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
};

// An entry's place among all entries of the module: its offset in .debug_info, or in DWARF 4's .debug_types; of the
// module's own file or of the alternate one.
using EntryKey = uint64_t;
constexpr EntryKey kNoEntry = 0;  // a unit begins with its header
constexpr EntryKey kInTypesSection = EntryKey{1} << 63;
constexpr EntryKey kInAlternateFile = EntryKey{1} << 62;
EntryKey key_of(const llvm::DWARFUnit& unit, uint64_t offset);

// Type units are referred to by a hash of the type: signature → the type's entry.
using SignatureMap = std::unordered_map<uint64_t, EntryKey>;
SignatureMap read_signatures(const llvm::DWARFUnitVector& units);

// One debugging information entry, decoded where it stands. Holds no tree.
class Die {
 public:
  // The entry at *offset in the unit; moves *offset past it. False at the unit's end or when it cannot be decoded. A null
  // entry, which ends a list of children, has the tag DW_TAG_null.
  bool read(llvm::DWARFUnit& unit, uint64_t& offset);

  llvm::DWARFUnit& unit() const { return *unit_; }
  uint64_t offset() const { return offset_; }
  uint64_t end() const { return end_; }  // of the entry itself: its children or its sibling follow
  llvm::dwarf::Tag tag() const { return abbreviation_ == nullptr ? llvm::dwarf::DW_TAG_null : abbreviation_->getTag(); }
  bool has_children() const { return abbreviation_ != nullptr && abbreviation_->hasChildren(); }

  std::optional<llvm::DWARFFormValue> find(llvm::dwarf::Attribute attribute) const;
  std::string_view string(llvm::dwarf::Attribute attribute) const;  // empty when absent or unreadable
  std::optional<uint64_t> number(llvm::dwarf::Attribute attribute) const;
  bool flag(llvm::dwarf::Attribute attribute) const;
  // The entry that a reference attribute names, in this unit or another one of .debug_info, or in the alternate file.
  std::optional<Die> reference(llvm::dwarf::Attribute attribute) const;
  // The same as a key, without reading what is there; type units included. Nullopt when the reference leads nowhere,
  // kNoEntry when it leads into an alternate file that is missing.
  std::optional<EntryKey> reference_key(llvm::dwarf::Attribute attribute, const SignatureMap& signatures) const;
  // DW_AT_sibling, when it leads forward inside the unit.
  std::optional<uint64_t> sibling() const;

 private:
  llvm::DWARFUnit* unit_ = nullptr;
  const llvm::DWARFAbbreviationDeclaration* abbreviation_ = nullptr;  // null: a null entry
  uint64_t offset_ = 0;
  uint64_t end_ = 0;
};

// Reads the unit's own entry and with it the bases of its string and address tables. False when it cannot be read.
bool open_unit(llvm::DWARFUnit& unit, Die& unit_die);

constexpr size_t kMaxEntryDepth = 4096;

// After damage at `offset`: leaves the scopes up to the innermost one that says it ends behind it, and returns where.
std::optional<uint64_t> leave_damaged_scopes(llvm::DWARFUnit& unit, std::vector<uint64_t>& scopes, uint64_t offset);

// Calls visit(die, scopes) for every entry below the unit's own, `scopes` being the offsets of the entries around it, the
// unit's own first; when that returns true, the entry's children are skipped if it has a DW_AT_sibling. False when
// something could not be read; the walk goes on where it can.
template <class Visit>
bool walk_entries(const Die& unit_die, Visit&& visit) {
  if (!unit_die.has_children()) return true;
  std::vector<uint64_t> scopes = {unit_die.offset()};
  uint64_t offset = unit_die.end();
  bool is_whole = true;
  Die die;
  while (!scopes.empty()) {
    if (!die.read(unit_die.unit(), offset)) {
      if (offset >= unit_die.unit().getNextUnitOffset()) break;
      is_whole = false;
      auto next = leave_damaged_scopes(unit_die.unit(), scopes, offset);
      if (!next) break;
      offset = *next;
      continue;
    }
    if (die.tag() == llvm::dwarf::DW_TAG_null) {
      scopes.pop_back();
      continue;
    }
    const bool skip = visit(std::as_const(die), std::as_const(scopes));
    if (!die.has_children()) continue;
    auto sibling = skip ? die.sibling() : std::nullopt;
    if (sibling) {
      offset = *sibling;
    } else {
      if (scopes.size() >= kMaxEntryDepth) return false;
      scopes.push_back(die.offset());
    }
  }
  return is_whole;
}

}  // namespace heapwalk
