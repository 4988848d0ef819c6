#include "dump/thread_stacks.h"

#include <algorithm>
#include <optional>

#include "dump/arch/arch.h"
#include "dump/pthread.h"

namespace heapwalk {
namespace {

constexpr uint64_t kAtRandom = 25;
constexpr uint64_t kAtExecfn = 31;

class StackFinder {
 public:
  explicit StackFinder(const CoreDump& dump)
      : dump_(dump), arch_(arch_of(dump.process.architecture)), layout_(read_pthread_layout(dump)) {
    initial_stack_ = find_initial_stack();
    program_break_ = find_program_break();
  }

  void place(Thread& thread) const;
  std::vector<AddressRange> dead_stacks() const { return find_dead_stacks(dump_, layout_); }

 private:
  std::optional<AddressRange> find_initial_stack() const;
  std::optional<Address> find_program_break() const;
  AddressRange below_tls(AddressRange block, Address thread_pointer) const;
  AddressRange live_part(AddressRange stack, Address stack_pointer) const;
  void place_in(Thread& thread, AddressRange mapping, AddressRange stack, Address guard_begin) const;
  void place_by_stack_pointer(Thread& thread) const;

  const CoreDump& dump_;
  const Arch& arch_;
  PthreadLayout layout_;
  std::optional<AddressRange> initial_stack_;
  std::optional<Address> program_break_;
};

// Touching writable mappings count as one: mprotect on part of a stack splits it.
std::optional<AddressRange> StackFinder::find_initial_stack() const {
  for (uint64_t type : {kAtExecfn, kAtRandom}) {
    auto address = dump_.auxv_value(type);
    const Mapping* top = address ? dump_.find_mapping(Address{*address}) : nullptr;
    if (top == nullptr || !top->writable || !top->path.empty()) continue;
    AddressRange stack = top->range;
    for (const Mapping* m = top; m > dump_.mappings.data(); --m) {
      const Mapping& below = m[-1];
      if (below.range.end != stack.begin || !below.writable || !below.path.empty()) break;
      stack.begin = below.range.begin;
    }
    return stack;
  }
  return std::nullopt;
}

std::optional<Address> StackFinder::find_program_break() const {
  for (const Module* module : {dump_.find_module_by_name("libc.so"), dump_.executable()}) {
    if (module == nullptr) continue;
    auto symbol = module->symbol_range("__curbrk");
    if (!symbol) continue;
    auto value = dump_.memory.read_pointer(symbol->begin);
    if (value && *value) return value;
  }
  return std::nullopt;
}

// The block without the static TLS blocks and struct pthread at its top, as far as is known where they begin.
AddressRange StackFinder::below_tls(AddressRange block, Address thread_pointer) const {
  if (!block.contains(thread_pointer)) return block;
  Address end = block.end;
  if (arch_.tls_below_thread_pointer) {
    end = thread_pointer;
    for (const Module& module : dump_.modules) {
      if (!module.tls || !module.tls->static_offset) continue;
      uint64_t offset = *module.tls->static_offset;
      if (offset <= thread_pointer - block.begin) end = std::min(end, thread_pointer - offset);
    }
  } else if (layout_.size_bytes && *layout_.size_bytes <= thread_pointer - block.begin) {
    end = thread_pointer - *layout_.size_bytes;
  }
  return {block.begin, end};
}

AddressRange StackFinder::live_part(AddressRange stack, Address stack_pointer) const {
  Address begin = stack_pointer - std::min(arch_.red_zone_bytes, stack_pointer.value);
  return {std::max(stack.begin, begin), stack.end};
}

// `guard_begin`: a stack that overflowed has its stack pointer between there and the stack.
void StackFinder::place_in(Thread& thread, AddressRange mapping, AddressRange stack, Address guard_begin) const {
  thread.stack_mapping = mapping;
  Address sp = thread.stack_pointer;
  if (sp >= guard_begin && sp <= stack.end) {
    thread.stack = live_part(stack, sp);
    return;
  }
  thread.stack = stack;
  if (dump_.find_mapping(sp) != nullptr) thread.alternate_stack_pointer = sp;
}

void StackFinder::place_by_stack_pointer(Thread& thread) const {
  const Mapping* mapping = dump_.find_mapping(thread.stack_pointer);
  if (mapping == nullptr) return;
  bool brk_heap = program_break_ && mapping->range.contains(*program_break_ - 1);
  bool foreign =
      thread.thread_pointer && thread.tid != dump_.process.pid && !mapping->range.contains(thread.thread_pointer);
  if (brk_heap || foreign || !mapping->path.empty() || !mapping->writable) {
    thread.alternate_stack_pointer = thread.stack_pointer;
    return;
  }
  thread.stack_mapping = mapping->range;
  thread.stack = live_part(below_tls(mapping->range, thread.thread_pointer), thread.stack_pointer);
  if (thread.stack.empty()) thread.stack = live_part(mapping->range, thread.stack_pointer);
}

void StackFinder::place(Thread& thread) const {
  if (auto block = find_stack_block(dump_, layout_, thread.thread_pointer)) {
    AddressRange mapping{block->range.begin + block->guard_bytes, block->range.end};
    return place_in(thread, mapping, below_tls(mapping, thread.thread_pointer), block->range.begin);
  }
  bool initial = thread.tid == dump_.process.pid;
  if (initial_stack_ && (initial || initial_stack_->contains(thread.stack_pointer)))
    return place_in(thread, *initial_stack_, *initial_stack_, initial_stack_->begin);
  place_by_stack_pointer(thread);
}

}  // namespace

void find_thread_stacks(CoreDump& dump) {
  StackFinder finder(dump);
  for (Thread& thread : dump.threads) finder.place(thread);
  dump.dead_stacks = finder.dead_stacks();
}

}  // namespace heapwalk
