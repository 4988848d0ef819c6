// The values of a typed piece of memory, one row per field, as a debugger prints them.
//
//     id                  +0x0   uint64_t      17
//     user                +0x8   std::string   "alice"
//     tags                +0x28  char[8]       "a, b"
//     peer                +0x30  Peer*         null
//
// Integers, truth values and floating point as numbers; enumerations as their integer; a pointer as an address, with the
// text behind it when it points to characters; records and unions with their fields indented below, those of base
// classes and anonymous members among the record's own; arrays with their first elements; containers by what they are
// (container_values.h), their nodes with the value inside; of a Rust enum the variant that is there. All of it comes from
// a core and its debug info, so rows, depth and lengths are bounded, and memory that is not there is said to be absent.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dump/address_space.h"
#include "dwarf/type_table.h"
#include "heapwalk/types/container_values.h"

namespace heapwalk {

struct FieldValue {
  uint32_t depth = 0;  // of the record it lies in
  std::string name;    // "[3]" for an element
  std::string type;
  uint64_t offset_bytes = 0;  // from the start of the place
  std::string value;          // empty for most records, whose fields follow one deeper
};

// Whether the element at this offset of an array is in use.
using IsInUse = std::function<bool(uint64_t offset_bytes)>;

// What lies at `range`: one object of the type, or, with `is_array`, as many as fit; of these, if there is an `is_in_use`,
// those that it says. No rows for an unknown type. Without `containers` theirs are the members that they are made of.
std::vector<FieldValue> field_values(const TypeTable& table, const AddressSpace& memory, AddressRange range,
                                     TypeId type, bool is_array, const ContainerValues* containers = nullptr,
                                     const IsInUse& is_in_use = {});

}  // namespace heapwalk
