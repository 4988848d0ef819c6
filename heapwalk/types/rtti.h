// Vtables of programs without symbols: the run-time type information that dynamic_cast and exceptions need stays when a
// program is stripped, and it carries the class's name.
//
//     vtable group                      type_info of Dog                    a vtable of the C++ run-time
//     ┌──────────────┐                  ┌──────────────┐                    ┌─────────────┐
//     │ 0            │ offset to top    │ vptr         │───────────────────►│ ~type_info  │ of __class_type_info,
//     │ type_info    │─────────────────►│ name         │───► "3Dog"         │ …           │ __si_…, __vmi_class_type_info
//     ├──────────────┤◄ address point   │ bases …      │                    └─────────────┘
//     │ Dog::speak   │ code             └──────────────┘
//
// Read from the right to the left: what the run-time's three vtables are is known by symbol (of libstdc++ or libc++abi, which
// keep theirs), else by their own classes' names; words that lead to them begin a type_info; and a word that leads to one of
// those, behind a 0 and before an address of code, stands before an address point. Itanium C++ ABI §2.5.2 and §2.9.5.
#pragma once

#include <string>
#include <vector>

#include "dump/core_dump.h"

namespace heapwalk {

struct RttiVtable {
  Address address_point;      // of the primary vtable
  std::string mangled_class;  // "3Dog"
};

// Of all modules, sorted by address. What the core and the files do not have is not found.
std::vector<RttiVtable> find_rtti_vtables(const CoreDump& dump);

}  // namespace heapwalk
