// Programs that write pointer masks, of values too large for a mask in the binary (through Go 1.23): a few bytes that repeat.
//
//     size of the program 4, then instructions
//     0                 end
//     0nnnnnnn bits     n bits follow, lowest first
//     1nnnnnnn c        the last n bits, c more times; n = 0: the number follows, as c does, in groups of seven bits
//
// Source: Go 1.23 runtime/mbitmap.go (runGCProg).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dump/address_space.h"

namespace heapwalk::go {

// The first `bits` of what the program there writes, in whole words; null where it ends before, or cannot be read.
std::optional<std::vector<uint64_t>> run_mask_program(const AddressSpace& memory, Address program, uint64_t bits);

}  // namespace heapwalk::go
