// Values without a name that a variable points to from the start.
//
//     var session = &handler{…}     main.session ─────────► main..stmp_0 { session … }
//     var list = []*page{…, …}      main.list { array … } ─► main..stmp_1
//
// Go's compiler lays such a value out as a variable of its own, which nobody wrote and no debug info describes. It is named
// and typed by what leads to it: "*main.session", "main.list[…]".
// Source: Go 1.27 cmd/compile/internal/staticinit/sched.go (StaticName).
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dump/core_dump.h"
#include "dwarf/type_table.h"
#include "dwarf/variables.h"

namespace heapwalk {

// By the name of its symbol.
bool is_nameless_value(std::string_view symbol);

class StaticValues {
 public:
  // Of one module. All are borrowed; its data are read when first asked.
  StaticValues(const AddressSpace& memory, const Module& module, const VariableTable& variables,
               TypeTableBuilder& types)
      : memory_(memory), module_(module), variables_(variables), types_(types) {}

  struct Value {
    std::string name;  // empty: nothing with a name leads there
    std::string source;
    TypeId type = kNoType;
  };
  // Of the nameless value that begins there and is so large.
  const Value& at(AddressRange range);

 private:
  struct Place {  // what a word is a part of
    std::string path;
    bool is_pointed_to = false;  // "*path"
    std::string source;
    TypeId type = kNoType;
    uint64_t offset_bytes = 0;
  };
  void collect();
  Value find(AddressRange range, int depth);
  bool place_of(Address word, int depth, Place& place);
  Value value_behind(Place place, uint64_t size_bytes) const;

  const AddressSpace& memory_;
  const Module& module_;
  const VariableTable& variables_;
  TypeTableBuilder& types_;
  bool is_collected_ = false;
  std::unordered_multimap<uint64_t, Address> words_;  // by what they point to, at nameless values only
  std::unordered_map<uint64_t, Value> known_;
};

}  // namespace heapwalk
