// The locals and parameters of the functions that frames of threads are in.
//
//     pcs of all frames ─► read_debug_info: the units that cover one ─► pc ─► FrameFunction ─► variables, each with its
//                                                                                             place for that very pc
//
// A function is looked at only when a frame is in it; of its lexical blocks and inlined functions, only those that cover the
// pc count, and of a variable's locations only the one that is valid there. A caller's pc is the return address less one: the
// call is what it is doing, and the next instruction may be another block or even another function.
// Source: DWARF 5 §3.3 (functions, inlined ones), §3.5 (lexical blocks), §4.1 (variables and parameters).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dwarf/location.h"
#include "dwarf/type_table.h"

namespace heapwalk {

struct FrameVariable {
  std::string name;      // empty: the source gives it none
  std::string function;  // the inlined function it belongs to; empty: the frame's own
  std::string source;    // "src/cache.cc:12", where it is declared; empty when unknown
  TypeId type = kNoType;
  bool is_parameter = false;
  LocationExpression location;
};

// A variable of the function around a closure, in the closure itself (Go 1.23 …, DW_AT_go_closure_offset).
struct CapturedVariable {
  std::string name;  // "counter", or "&counter" where the closure has its address
  TypeId type = kNoType;
  uint64_t offset_bytes = 0;
};

struct FrameFunction {
  LocationExpression frame_base;
  std::vector<CapturedVariable> captured;  // at whatever pc
  std::vector<FrameVariable> variables;    // in the order of the debug info: outer scopes first
};

class FrameVariables {
 public:
  FrameVariables() = default;
  explicit FrameVariables(std::vector<uint64_t> link_pcs);  // what is wanted, in any order

  std::span<const uint64_t> pcs() const { return pcs_; }  // sorted, each once
  bool wants(uint64_t begin, uint64_t end) const;         // a pc in [begin, end)

  // Of several functions at one pc (the linker folded identical ones) the first one counts.
  bool has(uint64_t link_pc) const { return find(link_pc) != nullptr; }
  void add(uint64_t link_pc, FrameFunction function);  // a wanted pc
  // Null: the pc was not wanted, or no debug info covers it.
  const FrameFunction* find(uint64_t link_pc) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  std::vector<uint64_t> pcs_;
  std::vector<uint32_t> function_of_;  // by pc
  std::vector<FrameFunction> functions_;
};

}  // namespace heapwalk
