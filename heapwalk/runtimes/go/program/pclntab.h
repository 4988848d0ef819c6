// Go's line table: what code belongs to which function, and what is known at each of its instructions.
//
//     pc ─ text ─► ftab (sorted) ─► _func ─┬─► name, size of the arguments, kind, flags
//                                          ├─► pcsp, pcfile, pcln, pcdata[i]: a value per instruction, run-length coded
//                                          └─► funcdata[i]: pointer maps, stack objects, tree of inlined calls
//
// Every Go program carries it, stripped or not: the run-time needs it to grow stacks, collect and panic. It is read in
// place from the mapped image. A value that changes along a function (how far the stack pointer is below the frame's
// top, the line, which pointer map holds) is a list of pairs (change of value, bytes of code), both as varints: one finds
// the value at a pc by adding up from the entry.
//
// Two formats are known by their magic: 0xfffffff0 (1.18, 1.19) and 0xfffffff1 (1.20 …), where functions and inlined calls
// got the line that they begin on. How special functions are numbered follows the release.
//
// Source: Go 1.19 … 1.27 runtime/symtab.go (findfunc, pcvalue, funcdata), runtime/symtabinl.go, runtime/runtime2.go (_func),
// internal/abi/symtab.go (FuncID, FuncFlag, PCDATA_…, FUNCDATA_…).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/runtimes/go/program/function.h"
#include "heapwalk/runtimes/go/program/layout.h"
#include "heapwalk/runtimes/go/program/module_data.h"

namespace heapwalk::go {

enum class PcData : uint32_t { unsafe_point = 0, stack_map_index = 1, inline_tree_index = 2 };
enum class FuncData : uint32_t { arguments_pointers = 0, locals_pointers = 1, stack_objects = 2, inline_tree = 3 };

// The table of one module. Borrows from the core dump's memory, or owns a copy where the core holds some pages of it and
// the file the others.
class LineTable {
 public:
  // Null where there is no table of a known format. `minor`: of Go 1.minor.
  static std::optional<LineTable> read(const AddressSpace& memory, const Layout& layout, const ModuleData& module);

  // O(log functions).
  std::optional<Function> find(Address pc) const;
  size_t size() const { return function_count_; }
  std::optional<Function> at(size_t index) const;  // in the order of their code

  // How many bytes the stack pointer is below its value at the function's entry. Null: not known at this pc.
  std::optional<int64_t> sp_delta(const Function& function, Address pc) const;
  // −1 where there is no such table, or none for this pc.
  int32_t pc_data(const Function& function, PcData which, Address pc) const;
  // Null address where the function has none.
  Address func_data(const Function& function, FuncData which) const;

  // Appends the frames at an instruction, innermost first: at least one. `call_pc` is an instruction of the call (a
  // return address − 1), or the one that was being executed.
  void logical_frames(const Function& function, Address call_pc, std::vector<LogicalFrame>& out) const;

  const ModuleData& module() const { return module_; }

 private:
  struct Record;
  std::optional<int32_t> pc_value(const Function& function, uint32_t table, Address pc) const;
  std::optional<uint32_t> record_word(const Function& function, uint64_t offset) const;
  std::string_view text_at(Bytes table, uint64_t offset) const;
  std::string_view file_name(const Function& function, int32_t file) const;
  bool inlined_call(Address tree, int32_t index, LogicalFrame& frame, uint32_t& parent_offset) const;

  const AddressSpace* memory_ = nullptr;
  ModuleData module_;
  std::shared_ptr<const std::vector<std::byte>> copy_;
  Bytes names_, units_, files_, pc_values_, functions_;  // funcnametab, cutab, filetab, pctab, pclntable
  size_t function_count_ = 0;
  bool old_format_ = false;  // 1.18, 1.19
  int release_ = 0;
  uint32_t instruction_bytes_ = 1;  // what code sizes are multiples of
};

// The tables of all modules of a program.
class Functions {
 public:
  Functions(const AddressSpace& memory, const Layout& layout, const std::vector<ModuleData>& modules);

  const std::vector<LineTable>& tables() const { return tables_; }
  std::optional<Function> find(Address pc) const;
  void logical_frames(Address call_pc, std::vector<LogicalFrame>& out) const;  // nothing where no function is there

 private:
  std::vector<LineTable> tables_;  // functions point to them: never changed after the constructor
};

}  // namespace heapwalk::go
