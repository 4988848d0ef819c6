// A function of a Go program, and a line of a traceback.
//
// What the compiler calls a function may have been inlined into others: then it has lines in tracebacks, but no code of its
// own. Source: Go 1.19 … 1.27 runtime/runtime2.go (_func), internal/abi/symtab.go (FuncID, FuncFlag).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dump/base/address.h"

namespace heapwalk::go {

class LineTable;

// Functions that the run-time itself treats in a special way. `wrapper`: made by the compiler, left out of tracebacks.
// The values are the function ids of Go 1.25 and later (internal/abi/symtab.go); earlier ones are translated (pclntab.cc).
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

// "main.Map[go.shape.int,go.shape.string]" is printed as "main.Map[...]".
std::string printed_function_name(std::string_view name);
// Whether tracebacks and profiles leave out this frame; `callee`: the kind of the logical frame below it.
bool is_hidden_wrapper(FunctionKind kind, FunctionKind callee);

}  // namespace heapwalk::go
