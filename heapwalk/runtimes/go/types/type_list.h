// The types that a Go program lists for itself: where the way to all others begins.
//
//     through 1.26   typelinks   offsets of types without a name, pointers and slices among them: all lead on
//                    itablinks   pairs of an interface and a type that implements it, made by the compiler
//     since 1.27     descriptors lie one behind the other, [types, types + typedesclen); pairs behind itaboffset
//     always         runtime.itabTable: the pairs that were needed while the program ran, too
//
// What no list names (the types of closures, say, and some of the run-time's own) lies between types and etypes too: no other
// bytes there look like a descriptor in all its parts.
//
// Source: Go 1.26 runtime/symtab.go (moduledata), iface.go (itabsinit); Go 1.27 runtime/type.go (moduleTypelinks).
#pragma once

#include <vector>

#include "dump/base/diagnostics.h"
#include "heapwalk/runtimes/go/program/process.h"

namespace heapwalk::go {

struct ListedTypes {
  std::vector<Address> types;  // some more than once; none of the listed ones is checked
  std::vector<Address> itabs;
};
ListedTypes list_types(const AddressSpace& memory, const Process& process, Diagnostics& diagnostics);

}  // namespace heapwalk::go
