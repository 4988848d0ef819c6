// Where a debugging information entry ends, without ever looking past the end of its unit.
//
// LLVM 16 to 19 add up the sizes that attributes claim and go on reading there (DWARFDebugInfoEntry::extractFast): a block
// that says it is 4 GB long makes them read memory that is not theirs. An entry that was measured here lies in its unit as a
// whole, and LLVM may read each of its attributes.
// Source: DWARF 5 §7.5.3 (abbreviations), §7.5.5 (forms).
#pragma once

#include <cstdint>
#include <optional>

#include "dwarf/debug_info.h"

namespace heapwalk {

struct EntryBounds {
  uint64_t end = 0;
  const llvm::DWARFAbbreviationDeclaration* abbreviation = nullptr;  // null: the entry ends a list of children
};

// Nullopt: no entry begins there, or it does not end inside the unit.
std::optional<EntryBounds> measure_entry(const llvm::DWARFUnit& unit, uint64_t offset);

}  // namespace heapwalk
