// What an entry is called: by itself, by the entries that complete it, and by the scopes around it.
//
// An entry may say only part of itself: `DW_AT_specification` leads from a definition to the declaration inside the class,
// `DW_AT_abstract_origin` from an inlined or cloned function to the one it was made of. The name is at the end of the chain.
// Source: DWARF 5 §2.13.2 (declarations completed elsewhere), §3.3.8 (inlined functions).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dwarf/debug_entry.h"

namespace heapwalk {

constexpr int kMaxReferences = 16;  // in a chain of origins or types

struct CompletedEntry {
  std::string_view name;
  std::string_view linkage_name;
  uint64_t line = 0;
  uint64_t file = 0;
  llvm::DWARFUnit* file_unit = nullptr;
  std::optional<Die> typed;        // the entry that has the DW_AT_type
  std::optional<Die> declaration;  // the last entry referred to: it stands in the scope that the name belongs to
};

CompletedEntry complete(Die die);

constexpr uint64_t kMaxSearchedEntries = 1 << 20;  // for all scopes that one unit wants of others

// The scopes around an entry of any unit in words, "ns::Class" or "function()", which its unit is searched for. Each entry
// that is read takes one from `effort`; when that is used up, nothing is found.
std::string scope_text(const Die& die, uint64_t& effort);

bool is_function(llvm::dwarf::Tag tag);
bool is_type_with_members(llvm::dwarf::Tag tag);  // struct, class, union, enumeration
bool is_namespace(llvm::dwarf::Tag tag);
bool is_mangled(std::string_view linkage_name);

// Types of these languages hold no variable that has a location.
bool is_c_family(uint64_t language);

std::string joined(std::string scope, std::string_view name);  // "ns" and "X": "ns::X"
// "table[abi:cxx11]" → "table": a tag of the ABI, which no source has.
std::string without_abi_tags(std::string text);

}  // namespace heapwalk
