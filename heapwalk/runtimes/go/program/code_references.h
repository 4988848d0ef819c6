// Which variables a function's machine code refers to.
//
//     amd64    [opcode][modrm: mod 00, r/m 101][disp32][immediate]     address = end of the instruction + disp32
//     arm64    adrp x27, page ; add x0, x27, #low   or   ldr x0, [x27, #low]
//
// Go's compiler reaches every package variable in one of these ways, in position-independent programs too. Nothing is
// disassembled. On amd64 every byte that could be such a modrm byte is tried: its opcode tells the length of the immediate,
// and what is none of these instructions but only looks like one leads nowhere into the variables, all but always. On arm64 a
// page's address is followed through the registers, in the order of the code and whatever branches do. So both find what is there, and
// a little besides: who asks says what must hold at an address before it is believed (variable_search.h).
//
// Source: Intel SDM volume 2, 2.1 and 2.2.1.6 (RIP-relative addressing), appendix A; Arm ARM DDI 0487, C4.1; Go 1.26
// cmd/internal/obj/x86/asm6.go, cmd/internal/obj/arm64/asm7.go.
#pragma once

#include <span>
#include <vector>

#include "dump/address_space.h"
#include "dump/thread.h"

namespace heapwalk::go {

// The addresses inside `variables` that the code at `begin` refers to, in the order of the code, repetitions included.
std::vector<Address> code_references(Bytes code, Address begin, Architecture architecture,
                                     std::span<const AddressRange> variables);

}  // namespace heapwalk::go
