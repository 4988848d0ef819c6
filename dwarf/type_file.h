// One module's types and variables as bytes: what the cache keeps of debug info.
//
//     header: magic, version, size and checksum of all that follows, counts
//     key        what this was made from, in words (dwarf/type_cache.h)
//     types, fields, arguments, variables        records of fixed size, in the byte order of this machine
//     text       what their names point into
//
// A file that was cut off, damaged or written by somebody else is not read: the checksum covers everything, and then every
// index and every piece of text is checked as if there were none.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/byte_reader.h"
#include "dwarf/type_merger.h"
#include "dwarf/variables.h"

namespace heapwalk {

struct ModuleTypes {
  std::vector<Type> types;  // names borrow from what they were read from
  std::vector<Field> fields;
  std::vector<TypeId> arguments;
  std::vector<Variable> variables;  // with link addresses

  TypeArrays arrays() const { return {types, fields, arguments}; }
};

// Empty when the text is more than 4 GB.
std::string write_type_file(std::string_view key, const TypeArrays& types, const std::vector<Variable>& variables);

// The key of a file that is whole; nullopt for all others. Reads every byte.
std::optional<std::string_view> read_type_file_key(Bytes file);
// Of a file that has a key. Nullopt when something in it makes no sense.
std::optional<ModuleTypes> read_type_file(Bytes file);

}  // namespace heapwalk
