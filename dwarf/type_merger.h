// Adds the types of one module, read or kept by themselves, to those of the process.
//
//     module: 17 record "ns::X" {18 …}, 18 pointer to 17   ─►   process: "ns::X" is known: 17 → 5; nobody asks for 18
//
// Named definitions are added whether anything refers to them or not, all else when something does, as TypeJoiner has it;
// what is known by name and size stays as it is. The order is the module's, so the same types and the same builder give the
// same ids, wherever the module's types come from.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "dwarf/type_table.h"

namespace heapwalk {

// A table's arrays, or what a file says they are. Whoever made them saw to it that every id is kNoType or an index, that a
// target comes before what refers to it, and that fields and arguments of a type are inside their arrays.
struct TypeArrays {
  std::span<const Type> types;
  std::span<const Field> fields;
  std::span<const TypeId> arguments;
};

class TypeMerger {
 public:
  TypeMerger(const TypeArrays& module, TypeTableBuilder& process);
  void add_definitions();
  TypeId id_of(TypeId module_id);  // in the process's table
  void fill_added();               // after all that was asked for

 private:
  TypeId add(const Type& type, TypeId target, uint32_t at);

  TypeArrays module_;
  TypeTableBuilder& process_;
  std::vector<TypeId> ids_;     // by the module's
  std::deque<uint32_t> added_;  // records whose fields are not there yet
};

}  // namespace heapwalk
