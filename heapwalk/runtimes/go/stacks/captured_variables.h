// What closures hold, under the names of the source: from Go 1.23 on, the debug info of a closure's function says which of its
// variables are the closure's, and where they lie in it.
//
// Source: Go 1.23 cmd/internal/dwarf (DW_AT_go_closure_offset).
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "dwarf/frame_variables.h"
#include "heapwalk/runtimes/go/program/pclntab.h"

namespace heapwalk {
class FramePlaces;
}

namespace heapwalk::go {

// By the entry of the closure's function.
using CapturedVariables = std::unordered_map<Address, std::vector<CapturedVariable>>;

// Entries of all functions that may be closures', going by their names: what the debug info is to be asked for.
std::vector<Address> closure_entries(const Functions& functions);
CapturedVariables find_captured(std::span<const Address> entries, const FramePlaces& places);

}  // namespace heapwalk::go
