// Where a variable is, at one pc of one frame: DWARF's location expressions.
//
//     bytes ─ parse ─► LocationExpression ─ locate, with a frame's registers, CFA and memory ─► pieces
//     91 68            fbreg −24                                                                 [0, …) memory 0x7ffe…c8
//     53 93 8 56 93 8  rbx, piece 8, rbp, piece 8                                     [0, 8) rbx, [8, 16) rbp
//
// An expression is parsed where the debug info is read (addresses by index are looked up, branch targets become numbers
// of operations), so that nothing of the debug info is needed later. It is a program of a stack machine written by
// somebody else: steps, stack and pieces are bounded, arithmetic wraps, memory that is not known ends the evaluation.
//
// Only what says where the value *is* counts. DW_OP_entry_value says what a register held when the function was called:
// that is no place, nothing can be reached through it now. DW_OP_implicit_pointer: the pointer was optimised out.
// Source: DWARF 5 §2.5 (expressions), §2.6 (locations), §7.7.1 (encoding).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <vector>

#include "dump/address_space.h"

namespace heapwalk {

// The registers of one frame, by DWARF number, as far as the unwinder could restore them.
struct FrameRegisters {
  static constexpr unsigned kCount = 33;  // x86-64: 0–16, aarch64: 0–31
  static constexpr uint64_t kInProcessor = 0;
  static constexpr uint64_t kSomewhere = UINT64_MAX;
  std::array<uint64_t, kCount> values{};
  // Where the value is now: a function that the frame called may have put it on the stack to use the register itself.
  std::array<uint64_t, kCount> places{};
  uint64_t known = 0;

  void set(unsigned number, uint64_t value, uint64_t place = kInProcessor) {
    values[number] = value;
    places[number] = place;
    known |= uint64_t{1} << number;
  }
  std::optional<uint64_t> get(uint64_t number) const {
    return number < kCount && (known >> number & 1) != 0 ? std::optional(values[number]) : std::nullopt;
  }
};

enum class OperationKind : uint8_t {
  constant,        // first: the value
  address,         // first: a link address
  register_,       // first: the register's number; a location, no value
  base_register,   // first: the register's number, second: added to its value
  frame_base,      // first: added to the frame base
  frame_address,   // the CFA
  dereference,     // first: bytes, at most 8
  plus_constant,   // first
  pick,            // first: how deep
  branch,          // first: the operation that follows if the top is not 0
  jump,            // first: the operation that follows
  piece,           // first: bytes, second: 1 when what is there is unknown
  implicit_value,  // first: the value's first 8 bytes, second: its size in bytes
  stack_value,
  unary,        // first: the DWARF code of an operation on the top of the stack alone
  binary,       // first: the DWARF code of an operation on the two upper values
  entry_value,  // no place: see above
  no_place,     // other things that are known and no place
  unsupported,  // typed values, calls to other entries, addresses of thread-locals
};

struct Operation {
  OperationKind kind = OperationKind::unsupported;
  uint64_t first = 0;
  uint64_t second = 0;
};

struct LocationExpression {
  // The address of .debug_addr with an index.
  using AddressAt = std::function<std::optional<uint64_t>(uint64_t index)>;
  // Nullopt: the bytes are no expression. An empty one is: the variable is nowhere.
  static std::optional<LocationExpression> parse(Bytes bytes, const AddressAt& address_at);

  std::vector<Operation> operations;
};

struct LocationPiece {
  enum class Kind : uint8_t { memory, register_, value };
  Kind kind = Kind::memory;
  uint64_t value = 0;         // memory: the address; else the content
  unsigned number = 0;        // register_: which one
  uint64_t offset_bytes = 0;  // inside the variable
  uint64_t size_bytes = 0;    // 0: all of it
};

enum class NoLocation : uint8_t {
  nowhere,           // optimised out
  entry_value,       // only known as what it was when the function was called
  unknown_register,  // the unwinder could not restore it
  absent_memory,     // the core does not have it
  unsupported,
  damaged,
};

struct FrameContext {
  const AddressSpace* memory = nullptr;
  const FrameRegisters* registers = nullptr;
  std::optional<uint64_t> cfa;
  const LocationExpression* frame_base = nullptr;  // of the function; null: it has none
  uint64_t bias = 0;                               // of the module
};

// Pieces of which nothing is known are left out. Never empty.
std::expected<std::vector<LocationPiece>, NoLocation> locate(const LocationExpression& expression,
                                                             const FrameContext& frame);

}  // namespace heapwalk
