// The stack of a goroutine, frame by frame, by the line table alone: no debug info, no frame pointers.
//
//     high  ┌────────────────────┐ ◄─ stack.hi
//           │ goexit             │    a function marked as top frame: nothing beyond
//           ├────────────────────┤
//           │ arguments          │ ◄─ argp ─┐ in the caller's frame: spill slots of arguments and results on the stack
//           │ return address     │ ◄─ fp −8 │
//           │ saved frame pointer│ ◄─ varp  │  (x86-64; AArch64 keeps both at the low end)
//           │ locals             │          │ sp + the function's delta at pc = fp
//           │ outgoing arguments │ ◄─ sp ───┘
//           ├────────────────────┤
//     low   │ callee …           │
//
// Where to begin: a goroutine that does not run was left at a call, and its g says where (sched; in a system call or in C,
// syscallpc and syscallsp). One that runs has its thread's registers, unless the thread is just not on the goroutine's
// stack: on the scheduler's (g0) then sched holds again; in a signal handler, which has a stack of its own, the kernel
// left the interrupted registers there.
//
//     thread's sp ∈ goroutine's stack ─► registers
//                 ∈ signal stack      ─► ucontext on it ─► its sp ∈ goroutine's stack ─► those registers
//                                                          else as below
//                 elsewhere           ─► in the vDSO: where it was called from; else sched
//
// Source: Go 1.19 … 1.27 runtime/traceback.go (unwinder, gentraceback), runtime/stkframe.go; Linux arch/x86/include/uapi/asm/
// sigcontext.h, ucontext.h and their arm64 counterparts.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "heapwalk/runtimes/go/program/pclntab.h"
#include "heapwalk/runtimes/go/program/process.h"
#include "heapwalk/runtimes/go/stacks/goroutines.h"

namespace heapwalk::go {

// A pc and what the line table says there, kept because goroutines share them.
struct CodePoint {
  Function function;
  std::optional<int64_t> sp_delta;
};

struct Frame {
  const CodePoint* code = nullptr;  // owned by the walker
  Address pc;                       // where it goes on: usually a return address
  Address sp, fp;                   // [sp, fp): the frame; fp: the caller's sp
  Address varp, argp;
  Address continuation;      // the pc whose pointer maps hold; null: never goes on, nothing in it is live
  bool interrupted = false;  // pc is an instruction that did not complete, not a return address

  const Function& function() const { return code->function; }
  // The instruction that stands for the frame in tracebacks.
  Address call_pc() const { return interrupted || pc <= function().entry() ? pc : pc - 1; }
};

enum class StackStart : uint8_t {
  none,       // no stack, or nothing known of where it is
  saved,      // at a call
  syscall,    // at a call, of entersyscall
  registers,  // between any two instructions
};

// Where a frame begins, by what is known of its callee.
struct StackPosition {
  Address pc, sp;
  Address link;  // the return address where it is in a register; null: on the stack
  FunctionKind callee = FunctionKind::normal;
  bool interrupted = false;
};

struct GoroutineStack {
  StackStart start = StackStart::none;
  std::vector<Frame> frames;          // innermost first, as many as the walker takes at a time
  std::vector<uint64_t> registers;    // of a start at registers: all that may hold pointers
  bool complete = false;              // up to the top frame
  AddressRange rest;                  // used stack beyond the last frame, where the walk broke off; else empty
  std::optional<StackPosition> more;  // the walk paused here, because there are many frames
};

class StackWalker {
 public:
  static constexpr size_t kMaxFrames = size_t{1} << 18;  // an overflowing stack has millions

  // All are borrowed. At most `max_frames` at a time, at least 1.
  StackWalker(const CoreDump& dump, const Process& process, const Functions& functions, size_t max_frames = kMaxFrames);

  // Replaces `stack`. Frames borrow from the walker.
  void walk(const Goroutine& goroutine, GoroutineStack& stack);
  // From stack.more on: the next frames replace those there.
  void walk_on(const Goroutine& goroutine, GoroutineStack& stack);

 private:
  struct Registers;
  std::optional<Registers> thread_registers(const Goroutine& goroutine) const;
  std::optional<Registers> interrupted_registers(AddressRange signal_stack, Address sp) const;
  std::optional<Registers> context_at(Address ucontext) const;
  std::optional<StackPosition> begin(const Goroutine& goroutine, GoroutineStack& stack) const;
  void walk_from(StackPosition position, const Goroutine& goroutine, GoroutineStack& stack, bool is_first);
  bool resolve(Frame& frame, StackPosition& position, const Goroutine& goroutine, bool innermost) const;
  const CodePoint* code_at(Address pc);

  const CoreDump& dump_;
  const AddressSpace& memory_;
  const Process& process_;
  const Functions& functions_;
  const bool has_link_register_;
  const size_t max_frames_;
  std::unordered_map<uint64_t, CodePoint> code_;
};

}  // namespace heapwalk::go
