// The variables of one module that live at a fixed place: globals, statics of functions and classes, thread-locals.
//
// Names are qualified as a programmer would write them ("ns::Class::member", "handle_request()::cache"); the source is
// where the variable is declared ("src/cache.cc:12", relative to the compilation directory). DWARF 4 and 5; from the
// module's own image or its separate debug file (dwarf/type_reader.h reads them).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dump/base/address.h"
#include "dump/interval_index.h"
#include "dwarf/type_table.h"

namespace heapwalk {

struct Variable {
  std::string name;
  Address address;          // run-time address; of a TLS variable: its offset in the module's TLS block
  uint64_t size_bytes = 0;  // 0 when the debug info does not say
  std::string source;       // empty when unknown
  bool tls = false;
  TypeId type = kNoType;
};

class VariableTable {
 public:
  VariableTable() = default;
  // In any order. Of several at one address the largest stays: a union of statics is rare, a duplicate is common.
  explicit VariableTable(std::vector<Variable> variables);

  std::span<const Variable> all() const { return variables_; }
  std::span<const Variable> tls() const { return tls_; }

  // The variable whose bytes cover the address, or null. O(log n).
  const Variable* find(Address address) const;
  const Variable* find_tls(uint64_t offset) const;
  size_t size() const { return variables_.size() + tls_.size(); }

 private:
  std::vector<Variable> variables_;  // by address
  std::vector<Variable> tls_;        // by offset
  IntervalIndex index_;
  IntervalIndex tls_index_;
};

}  // namespace heapwalk
