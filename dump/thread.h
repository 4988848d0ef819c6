// One thread of the process at the moment of the dump.
//
//     low ─────────────────────────────────────────────────────────► high
//     [ guard ][ stale, below sp ][ red zone | live stack … ][ TLS blocks | struct pthread ]
//                                 ^ sp−128    ^ sp            ^ thread pointer (x86-64)
//
// `stack_mapping` is the memory that belongs to the thread as a stack: its pthread stack block, or the mapping that the
// kernel made for the initial thread. `stack` is the live part of it that may hold roots; it ends below the static TLS
// blocks and struct pthread, which share the block. When the stack pointer lies elsewhere (a signal handler on an
// alternate stack, which may even be a heap allocation), `alternate_stack_pointer` is set: who knows the heap clips
// that stack. How far the interrupted stack reaches is then unknown, so `stack` is all of it, to lose no root; it is
// empty where no stack of the thread is known at all.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/address.h"

namespace heapwalk {

enum class Architecture : uint8_t { x86_64, aarch64 };

struct Register {
  std::string_view name;  // "rax", "x19", "xmm3[1]"
  uint64_t value = 0;
};

struct Thread {
  uint32_t tid = 0;
  std::string name;                        // empty where the core has none
  bool crashed = false;                    // the thread that took the signal
  std::vector<Register> registers;         // general purpose, in the architecture's order; includes pc and sp
  std::vector<Register> vector_registers;  // 64-bit halves of the vector registers, where the core has them
  Address program_counter;
  Address stack_pointer;
  Address thread_pointer;  // 0 when the core does not say
  AddressRange stack_mapping;
  AddressRange stack;
  std::optional<Address> alternate_stack_pointer;
  uint64_t code_pointer_mask = 0;  // aarch64: the bits of a return address that hold its authentication code

  std::optional<uint64_t> register_value(std::string_view name) const;
  // A return address as the CPU would jump to it: without the authentication code.
  Address strip_code_pointer(uint64_t value) const;
};

}  // namespace heapwalk
