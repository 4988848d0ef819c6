// One debugging information entry (DIE) at a time, and the walk over a unit's: for the .cc files of this folder only.
//
//     unit ─ offset ─► measure_entry (entry_bounds.h) ─► Die ─ look at its attributes, drop it ─► the next offset
//
// LLVM keeps 24 bytes for every debugging entry of a unit once it is asked for a tree, and a client cannot make it forget
// them (1 GB for a 380 MB .debug_info). So trees are never asked for: an entry is decoded where it stands, looked at
// and dropped, and whoever needs parents keeps a stack of offsets.
//
// Source: DWARF 5, chapter 2 and §7.5.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dwarf/debug_info.h"

namespace heapwalk {

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
