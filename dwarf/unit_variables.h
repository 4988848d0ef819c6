// The variables of one unit. Only an entry that is a variable with a fixed location is looked at more closely, and only
// then are the names around it read.
//
//     DW_TAG_variable  DW_AT_location  DW_OP_addr A                            a global, or a static of some scope
//                                      DW_OP_addrx i                           the same, by way of .debug_addr
//                                      DW_OP_const8u O, DW_OP_form_tls_address a thread-local: offset in the TLS block
//
// A name is put together from what is best known: the linkage name, which says it all for C++ variables that other units
// can see; else the scopes around the entry; else, for a member defined outside its class, the scopes around its
// declaration, which a second walk over the unit finds.
// Source: DWARF 5 §4.1 (variables), §2.13.2 (declarations completed elsewhere), §2.6.1.2 (addresses).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dump/module.h"
#include "dwarf/debug_entry.h"
#include "dwarf/entry_names.h"
#include "dwarf/line_files.h"
#include "dwarf/variables.h"

namespace heapwalk {

struct FoundVariable {
  Variable variable;  // its type is not resolved yet, nor the size where no symbol says it
  EntryKey type = kNoEntry;
};

// Is shown the variables of a unit one after the other, as walk_entries() visits them.
class VariableCollector {
 public:
  using Scopes = std::vector<uint64_t>;  // offsets of the entries around the current one, the unit's own first

  VariableCollector(const Module& module, const LineTable& lines, const SignatureMap& signatures, const Die& unit_die);

  void visit(const Die& variable, const Scopes& scopes);
  std::vector<FoundVariable> finish() &&;

 private:
  struct Place {
    uint64_t link_address = 0;  // or the offset in the TLS block
    bool tls = false;
  };
  struct Scope {
    std::string text;
    bool in_function = false;
    std::optional<uint64_t> declared_at;  // the text lacks what is around the entry there
  };

  static std::optional<Place> read_place(llvm::DWARFUnit& unit, Bytes expression);
  Place offset_in_block(const Place& place) const;
  bool is_in_module(const Place& place) const;
  Scope scope_of(const Scopes& scopes);
  std::string name_variable(const CompletedEntry& completed, const Symbol* symbol, const Scopes& scopes);
  const Symbol* symbol_at(const Place& place) const;
  void complete_names();

  const Module& module_;
  DeclarationFiles files_;
  const SignatureMap& signatures_;
  llvm::DWARFUnit& unit_;
  Die unit_die_;
  std::vector<FoundVariable> variables_;
  using Unnamed = std::pair<uint64_t, size_t>;  // declaration in this unit, variable that lacks its scopes
  std::vector<Unnamed> unnamed_;
  uint64_t effort_ = kMaxSearchedEntries;
};

}  // namespace heapwalk
