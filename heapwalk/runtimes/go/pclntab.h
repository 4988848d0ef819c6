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
#include <string>
#include <string_view>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/runtimes/go/layout.h"
#include "heapwalk/runtimes/go/module_data.h"

namespace heapwalk::go {

class LineTable;

// Functions that the run-time itself treats in a special way. `wrapper`: made by the compiler, left out of tracebacks.
enum class FunctionKind : uint8_t {
  normal,
  abort,
  asmcgocall,
  async_preempt,
  cgocallback,
  corostart,
  debug_call,
  gc_bg_mark_worker,
  goexit,
  gogo,
  gopanic,
  handle_async_event,
  mcall,
  morestack,
  mstart,
  panicwrap,
  rt0_go,
  runtime_main,
  run_finalizers,
  run_cleanups,
  sigpanic,
  systemstack,
  systemstack_switch,
  wrapper,
};

constexpr int32_t kArgumentsUnknown = INT32_MIN;  // Function::arguments_bytes of reflect's stubs: each call differs

struct Function {
  AddressRange code;                // up to the next function's entry
  std::string_view name;            // as in the table; printed_function_name() is what Go prints
  int32_t arguments_bytes = 0;      // on the stack, results included
  uint32_t deferreturn_offset = 0;  // from the entry: where a recovered panic goes on; 0: nowhere
  uint32_t start_line = 0;          // 0 before Go 1.20
  FunctionKind kind = FunctionKind::normal;
  bool top_frame = false;  // nothing calls it: a stack ends here
  bool sp_write = false;   // assembly that sets the stack pointer: it may be on another stack than it seems
  bool assembly = false;
  const LineTable* table = nullptr;
  uint32_t record = 0;  // offset of its _func in the table

  Address entry() const { return code.begin; }
};

// One line of a traceback: a physical frame is one or several of them, as calls were inlined.
struct LogicalFrame {
  std::string_view function;
  std::string_view file;  // "?" when unknown
  uint32_t line = 0;      // 0: unknown
  uint32_t start_line = 0;
  FunctionKind kind = FunctionKind::normal;
  bool inlined = false;
  Address call_pc;  // an instruction of the call in this function's code
};

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

// "main.Map[go.shape.int,go.shape.string]" is printed as "main.Map[...]".
std::string printed_function_name(std::string_view name);
// Whether tracebacks and profiles leave out this frame; `callee`: the kind of the logical frame below it.
bool is_hidden_wrapper(FunctionKind kind, FunctionKind callee);

}  // namespace heapwalk::go
