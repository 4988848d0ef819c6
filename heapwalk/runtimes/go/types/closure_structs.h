// What the closures of a function hold, from the program's own code: debug info says it only since Go 1.23, and may be missing.
//
//     LEAQ type:noalg.struct { F uintptr; X0 *main.node }(SB), AX     a descriptor like any other: its first field is the
//     CALL runtime.newobject                                          code's address, the others what is captured
//     LEAQ main.serve.func1(SB), CX                                   the code
//     MOVQ CX, (AX)
//
// The function that takes the address of such a descriptor and then that of another function's code makes a closure of the two.
// That is a guess, and judged like one: the collector's bits of the object have to agree.
// amd64 only: there, an address takes one instruction.
// Source: Go 1.19 … 1.27 cmd/compile/internal/typecheck/func.go (ClosureType, MethodValueType), walk/closure.go.
#pragma once

#include <unordered_map>
#include <vector>

#include "heapwalk/runtimes/go/program/pclntab.h"
#include "heapwalk/runtimes/go/program/process.h"

namespace heapwalk::go {

// By the entry of the closure's function: the descriptor of what its closures are. Functions of which the code says
// several are left out. `structs`: GoTypes::closure_structs().
std::unordered_map<Address, Address> match_closure_structs(const AddressSpace& memory, const Process& process,
                                                           const Functions& functions,
                                                           const std::vector<Address>& structs);

}  // namespace heapwalk::go
