#include "heapwalk/runtimes/go/stacks/stack_walk.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kWord = 8;

// A signal frame's ucontext: flags 8, link 8, then the signal stack (address 8, flags 8, size 8), then the registers.
constexpr uint64_t kContextStack = 16, kContextStackSize = 32;
struct ContextLayout {
  uint64_t registers, count;  // words
  uint64_t sp, pc;
};
constexpr ContextLayout kContextX86{40, 16, 160, 168};  // r8 … r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp; rip
constexpr ContextLayout kContextArm{184, 31, 432, 440};
constexpr uint64_t kX86VectorState = 40 + 23 * 8;  // address of the FXSAVE area, where xmm0 is at 160
constexpr uint64_t kX86Vectors = 160, kX86VectorWords = 32;
constexpr uint64_t kArmLink = 184 + 30 * 8;

bool is_injected_call(FunctionKind kind) {
  return kind == FunctionKind::sigpanic || kind == FunctionKind::async_preempt || kind == FunctionKind::debug_call;
}

}  // namespace

struct StackWalker::Registers {
  Address pc, sp, link;
  std::vector<uint64_t> values;
};

StackWalker::StackWalker(const CoreDump& dump, const Process& process, const Functions& functions, size_t max_frames)
    : dump_(dump),
      memory_(dump.memory),
      process_(process),
      functions_(functions),
      has_link_register_(dump.process.architecture == Architecture::aarch64),
      max_frames_(std::max<size_t>(1, max_frames)) {}

const CodePoint* StackWalker::code_at(Address pc) {
  const auto known = code_.find(pc.value);
  if (known != code_.end()) return &known->second;
  const auto function = functions_.find(pc);
  if (!function) return nullptr;
  return &code_.emplace(pc.value, CodePoint{*function, function->table->sp_delta(*function, pc)}).first->second;
}

std::optional<StackWalker::Registers> StackWalker::context_at(Address ucontext) const {
  const ContextLayout& layout = has_link_register_ ? kContextArm : kContextX86;
  const auto sp = memory_.read_pointer(ucontext + layout.sp);
  const auto pc = memory_.read_pointer(ucontext + layout.pc);
  if (!sp || !pc) return std::nullopt;
  Registers registers{*pc, *sp, {}, {}};
  for (uint64_t i = 0; i < layout.count; ++i)
    if (const auto value = memory_.read_word(ucontext + layout.registers + i * kWord))
      registers.values.push_back(*value);
  if (has_link_register_) {
    registers.link = memory_.read_pointer(ucontext + kArmLink).value_or(Address{});
  } else if (const auto vectors = memory_.read_pointer(ucontext + kX86VectorState); vectors && *vectors) {
    for (uint64_t i = 0; i < kX86VectorWords; ++i)
      if (const auto value = memory_.read_word(*vectors + kX86Vectors + i * kWord)) registers.values.push_back(*value);
  }
  return registers;
}

// The kernel notes in a signal frame which signal stack was in use: that is how one is recognised. Where handlers were
// interrupted themselves, the highest frame is of the signal that came first.
std::optional<StackWalker::Registers> StackWalker::interrupted_registers(AddressRange signal_stack, Address sp) const {
  constexpr uint64_t kLargest = 1 << 20;  // the run-time makes them 32 KB
  if (signal_stack.size_bytes() > kLargest || !signal_stack.contains(sp)) return std::nullopt;
  std::optional<Registers> found;
  for (Address at = sp.align_up(kWord); at + 512 <= signal_stack.end; at += kWord) {
    if (memory_.read_pointer(at + kContextStack) != signal_stack.begin) continue;
    if (memory_.read_word(at + kContextStackSize) != signal_stack.size_bytes()) continue;
    auto context = context_at(at);
    if (context && !signal_stack.contains(context->sp)) found = std::move(context);
  }
  return found;
}

std::optional<StackWalker::Registers> StackWalker::thread_registers(const Goroutine& goroutine) const {
  const auto thread = std::ranges::find(dump_.threads, goroutine.tid, &Thread::tid);
  if (goroutine.tid == 0 || thread == dump_.threads.end()) return std::nullopt;
  if (!goroutine.stack.contains(thread->stack_pointer)) {
    const Record m(memory_, process_.layout, goroutine.m);
    const Record signal(memory_, process_.layout, m.pointer_or_null(Field::m_gsignal));
    const uint64_t low = process_.layout.offset(Field::stack_lo), high = process_.layout.offset(Field::stack_hi);
    return interrupted_registers(
        {signal.pointer_or_null(Field::g_stack, low), signal.pointer_or_null(Field::g_stack, high)},
        thread->stack_pointer);
  }
  Registers registers{thread->program_counter, thread->stack_pointer, {}, {}};
  for (const auto& all : {thread->registers, thread->vector_registers})
    for (const Register& one : all)
      if (one.value != registers.pc.value && one.value != registers.sp.value) registers.values.push_back(one.value);
  if (has_link_register_) registers.link = Address{thread->register_value("x30").value_or(0)};
  return registers;
}

std::optional<StackPosition> StackWalker::begin(const Goroutine& goroutine, GoroutineStack& stack) const {
  if (goroutine.stack.empty()) return std::nullopt;
  if (goroutine.syscall.sp) {
    stack.start = StackStart::syscall;
    return StackPosition{goroutine.syscall.pc, goroutine.syscall.sp, {}};
  }
  if (goroutine.status == GoroutineStatus::running) {
    if (auto registers = thread_registers(goroutine); registers && goroutine.stack.contains(registers->sp)) {
      stack.start = StackStart::registers;
      stack.registers = std::move(registers->values);
      return StackPosition{registers->pc, registers->sp, registers->link, FunctionKind::normal, true};
    }
    const Record m(memory_, process_.layout, goroutine.m);
    const Address vdso_sp = m.pointer_or_null(Field::m_vdsoSP);
    if (goroutine.stack.contains(vdso_sp)) {
      stack.start = StackStart::saved;
      return StackPosition{m.pointer_or_null(Field::m_vdsoPC), vdso_sp, {}};
    }
  }
  stack.start = StackStart::saved;
  return StackPosition{goroutine.sched.pc, goroutine.sched.sp, goroutine.sched.link};
}

// Fills in the frame at the position, and moves the position to the caller's (pc null: the walk ends here). False where
// the frame's extent is not known.
bool StackWalker::resolve(Frame& frame, StackPosition& position, const Goroutine& goroutine, bool innermost) const {
  const Function& function = frame.function();
  if (!frame.code->sp_delta) return false;
  const uint64_t return_address = has_link_register_ ? 0 : kWord;
  frame.fp = frame.sp + static_cast<uint64_t>(*frame.code->sp_delta) + return_address;
  if (frame.fp < frame.sp || frame.fp > goroutine.stack.end) return false;
  frame.varp = frame.fp - return_address;
  if (frame.varp > frame.sp) frame.varp = frame.varp - kWord;  // the saved frame pointer
  frame.argp = frame.fp + (has_link_register_ ? kWord : 0);
  frame.continuation = frame.pc;
  if (position.callee == FunctionKind::sigpanic)  // it goes on only where a recovered panic does
    frame.continuation =
        function.deferreturn_offset != 0 ? function.entry() + function.deferreturn_offset + 1 : Address{};

  Address caller = position.link;
  const bool leaves_stack = function.sp_write && !innermost && function.kind != FunctionKind::cgocallback;
  if (function.top_frame || leaves_stack) {
    caller = {};
  } else if (!has_link_register_) {
    caller = memory_.read_pointer(frame.fp - kWord).value_or(Address{});
  } else if ((innermost && frame.sp < frame.fp) || !caller) {
    caller = memory_.read_pointer(frame.sp).value_or(Address{});
  }
  position = {caller, frame.fp, {}, function.kind, is_injected_call(function.kind)};
  return true;
}

void StackWalker::walk(const Goroutine& goroutine, GoroutineStack& stack) {
  stack.start = StackStart::none;
  stack.registers.clear();
  stack.frames.clear();
  stack.complete = false;
  stack.rest = {};
  stack.more.reset();
  auto position = begin(goroutine, stack);
  if (!position) return;
  if (!goroutine.stack.contains(position->sp)) {
    stack.start = StackStart::none;
    return;
  }
  if (!position->pc) {  // a call of a nil function
    position->pc = memory_.read_pointer(position->sp).value_or(Address{});
    if (!has_link_register_) position->sp += kWord;
  }
  walk_from(*position, goroutine, stack, true);
}

void StackWalker::walk_on(const Goroutine& goroutine, GoroutineStack& stack) {
  if (!stack.more) return;
  const StackPosition position = *stack.more;
  stack.more.reset();
  stack.frames.clear();
  walk_from(position, goroutine, stack, false);
}

void StackWalker::walk_from(StackPosition position, const Goroutine& goroutine, GoroutineStack& stack, bool is_first) {
  bool moved = true;
  while (position.pc) {
    if (stack.frames.size() == max_frames_) {
      stack.more = position;
      return;
    }
    Frame frame;
    frame.code = code_at(position.pc);
    if (frame.code == nullptr) break;
    frame.pc = position.pc;
    frame.sp = position.sp;
    frame.interrupted = position.interrupted;
    if (!resolve(frame, position, goroutine, is_first && stack.frames.empty())) break;
    stack.frames.push_back(frame);
    stack.complete = frame.function().top_frame;
    if (has_link_register_ && position.pc && is_injected_call(frame.function().kind)) {
      // The handler that injected the call put the link register on the stack first.
      const Address link = memory_.read_pointer(position.sp).value_or(Address{});
      position.sp += 2 * kWord;
      const CodePoint* code = code_at(position.pc);
      if (code == nullptr)
        position.pc = link;
      else if (code->sp_delta == 0)
        position.link = link;
    }
    if (frame.fp == frame.sp && !moved) break;  // two frames without extent: going in circles
    moved = frame.fp > frame.sp;
  }
  if (!stack.complete) stack.rest = {position.sp, goroutine.stack.end};
}

}  // namespace heapwalk::go
