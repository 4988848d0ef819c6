// A thread's own places: TLS, the thread control block, registers, the stack.
//
//     x86-64 (ABI "variant II"), addresses ascending:
//     [ stack … ][ TLS block n ]…[ TLS block 1 ][ thread control block = struct pthread ]
//                ^ tp − offset(n)               ^ thread pointer
//
// A module's static TLS block lies at the thread pointer minus the module's offset. The control block holds the dtv (and with
// it every dynamically allocated TLS block), the thread-specific data of pthread_setspecific, and the thread's argument and
// result; it is scanned as a whole. Its size is in libthread_db's descriptor `_thread_db_sizeof_pthread`.
//
// The stack is live from the stack pointer (less the red zone) upwards. Each frame that holds heap references becomes
// one root that spans the frame, owned by the thread's frame: which of its words are variables, debug info tells later.
#include <algorithm>
#include <string>

#include "dwarf/unwinder.h"
#include "heapwalk/roots/find_roots.h"
#include "heapwalk/roots/word_scan.h"

namespace heapwalk {
namespace {

constexpr uint64_t kThreadControlBlockBytes = 0x940;  // glibc 2.36 x86-64; used when the descriptor is missing
constexpr uint64_t kMaxThreadControlBlockBytes = 0x4000;
constexpr uint64_t kMaxTlsBlockBytes = 64U << 20;

uint64_t control_block_bytes(const CoreDump& dump) {
  for (const Module& module : dump.modules) {
    auto symbol = module.symbol_range("_thread_db_sizeof_pthread");
    if (!symbol) continue;
    auto size = dump.memory.read<uint32_t>(symbol->begin);
    if (size && *size >= 0x300 && *size <= kMaxThreadControlBlockBytes) return *size;
  }
  return kThreadControlBlockBytes;
}

std::string thread_name(const Thread& thread) {
  if (thread.name.empty()) return fmt::format("thread {}", thread.tid);
  return fmt::format("thread {} \"{}\"", thread.tid, thread.name);
}

class ThreadRoots {
 public:
  ThreadRoots(const RootInputs& inputs, ModuleVariables& variables, RootSet& set, const Thread& thread)
      : inputs_(inputs), variables_(variables), set_(set), thread_(thread) {}

  // Everything of the thread outside its stack: [lowest TLS block, end of the control block).
  void add_tls(uint64_t control_block_bytes) {
    if (!thread_.thread_pointer) return;
    for (const Module& module : inputs_.dump->modules)
      if (const auto& tls = module.tls; tls && tls->static_offset)
        add_tls_block(module, *tls->static_offset, tls->size_bytes);
    AddressRange block = AddressRange::of(thread_.thread_pointer, control_block_bytes);
    if (!thread_.stack_mapping.empty() && thread_.stack_mapping.contains(thread_.thread_pointer))
      block = block.intersect(thread_.stack_mapping);
    add_tls_words(block, [&](Address) { return Place{block, "thread control block", "thread control block", {}}; });
    tls_ranges_.push_back(block);
  }

  void add_registers() {
    for (const auto* registers : {&thread_.registers, &thread_.vector_registers})
      for (const Register& r : *registers)
        if (inputs_.objects->find_used(Address{r.value}))
          set_.roots.push_back({.kind = RootKind::register_,
                                .owner = owner(),
                                .name = std::string(r.name),
                                .stable_name = std::string(r.name),
                                .source = {},
                                .location = {},
                                .value = r.value});
  }

  void add_stack(const std::vector<Frame>& frames) {
    for (AddressRange part : subtract(thread_.stack, merged(tls_ranges_))) {
      uint32_t last_frame = kNoOwner;
      for_each_heap_word(inputs_, part, [&](Address word) {
        uint32_t frame = frame_at(frames, word);
        if (frame != last_frame) add_frame(frames, frame, part, word);
        last_frame = frame;
      });
    }
  }

  const std::vector<AddressRange>& tls_ranges() const { return tls_ranges_; }

 private:
  struct Place {
    AddressRange range;
    std::string name, stable_name, source;
    TypeId type = kNoType;
  };
  uint32_t owner() {
    if (owner_ == kNoOwner) {
      owner_ = static_cast<uint32_t>(set_.owners.size());
      set_.owners.push_back({OwnerKind::thread, kNoOwner, thread_name(thread_)});
    }
    return owner_;
  }

  void add_tls_block(const Module& module, uint64_t offset, uint64_t size_bytes) {
    // x86-64 puts the blocks below the thread pointer, aarch64 above. The numbers come from the file and the core: no
    // block is larger than the room it has.
    const bool below = inputs_.dump->process.architecture == Architecture::x86_64;
    if (below && offset > thread_.thread_pointer.value) return;
    const Address begin = below ? thread_.thread_pointer - offset : thread_.thread_pointer + offset;
    const AddressRange block = AddressRange::of(begin, std::min(size_bytes, below ? offset : kMaxTlsBlockBytes));
    if (inputs_.dump->memory.read(block.begin, 1).empty()) return;
    add_tls_words(block, [&](Address word) { return name_tls(module, block, word); });
    tls_ranges_.push_back(block);
  }

  Place name_tls(const Module& module, AddressRange block, Address word) {
    const uint64_t offset = word - block.begin;
    if (const Variable* variable = variables_.of(module).find_tls(offset))
      return {AddressRange::of(block.begin + variable->address.value, variable->size_bytes).intersect(block),
              variable->name, variable->name, variable->source, variable->type};
    if (const Symbol* symbol = module.symbols.find_tls(offset)) {
      std::string name = demangle(symbol->name);
      return {
          AddressRange::of(block.begin + symbol->link_address, symbol->size_bytes).intersect(block), name, name, {}};
    }
    return {AddressRange::of(word, 8), fmt::format("{} TLS+{:#x}", module.name, offset), module.name + " TLS", {}};
  }

  template <class NameWord>
  void add_tls_words(AddressRange block, NameWord name_word) {
    Address end_of_last = block.begin;
    for_each_heap_word(inputs_, block, [&](Address word) {
      if (word < end_of_last) return;
      Place place = name_word(word);
      if (place.range.begin < end_of_last) {
        place.range.begin = end_of_last;
        place.type = kNoType;
      }
      place.range.end = std::max(place.range.end, word + 8);
      end_of_last = place.range.end;
      set_.roots.push_back({.kind = RootKind::tls,
                            .owner = owner(),
                            .name = std::move(place.name),
                            .stable_name = std::move(place.stable_name),
                            .source = std::move(place.source),
                            .type = place.type,
                            .location = place.range});
    });
  }

  // The frame whose part of the stack holds the address: frames ascend from the innermost one.
  static uint32_t frame_at(const std::vector<Frame>& frames, Address address) {
    auto next = std::ranges::upper_bound(frames, address, {}, &Frame::cfa_or_sp);
    if (frames.empty()) return 0;
    if (next == frames.begin()) return 0;  // the red zone below the innermost frame
    return static_cast<uint32_t>(next - frames.begin() - 1);
  }

  void add_frame(const std::vector<Frame>& frames, uint32_t frame, AddressRange stack, Address word) {
    AddressRange range = stack;
    std::string function = "stack";
    std::string name = "stack";
    if (frame < frames.size()) {
      if (frame > 0) range.begin = std::max(range.begin, frames[frame].cfa_or_sp);
      if (frame + 1 < frames.size()) range.end = std::min(range.end, frames[frame + 1].cfa_or_sp);
      function = frames[frame].function.empty() ? "unknown function" : frames[frame].function;
      name = fmt::format("#{} {}", frame, function);
    }
    range = {std::max(range.begin, std::min(range.end, stack.begin)), std::max(range.end, word + 8)};
    const uint32_t thread = owner();
    const auto frame_owner = static_cast<uint32_t>(set_.owners.size());
    set_.owners.push_back({OwnerKind::frame, thread, name});
    set_.roots.push_back({.kind = RootKind::stack,
                          .owner = frame_owner,
                          .name = name,
                          .stable_name = function,
                          .source = {},
                          .location = range});
  }

  const RootInputs& inputs_;
  ModuleVariables& variables_;
  RootSet& set_;
  const Thread& thread_;
  uint32_t owner_ = kNoOwner;
  std::vector<AddressRange> tls_ranges_;
};

// Frames in ascending stack order; the unwinder may fail on a smashed stack, and then the list just ends.
std::vector<Frame> ordered_frames(std::vector<Frame> frames) {
  size_t kept = 0;
  while (kept < frames.size() && (kept == 0 || frames[kept].cfa_or_sp > frames[kept - 1].cfa_or_sp)) ++kept;
  frames.resize(kept);
  return frames;
}

}  // namespace

void add_thread_roots(const RootInputs& inputs, ModuleVariables& variables, RootSet& set, Diagnostics& diagnostics) {
  const uint64_t control_block = control_block_bytes(*inputs.dump);
  Result<Unwinder> unwinder = Unwinder::create(*inputs.dump);
  if (!unwinder) diagnostics.add("no_unwinding", unwinder.error().message + "; stacks are roots without frame names");
  std::vector<AddressRange> stacks;
  std::vector<AddressRange> tls;
  for (const Thread& thread : inputs.dump->threads) {
    ThreadRoots roots(inputs, variables, set, thread);
    roots.add_tls(control_block);
    roots.add_registers();
    if (!thread.stack.empty())
      roots.add_stack(unwinder ? ordered_frames(unwinder->unwind(thread)) : std::vector<Frame>{});
    tls.insert(tls.end(), roots.tls_ranges().begin(), roots.tls_ranges().end());
    stacks.push_back(thread.stack_mapping);
  }
  if (unwinder && unwinder->broken_stacks() > 0)
    diagnostics.add("broken_stack",
                    "stacks that could not be unwound to their end; what lies above is named by the last frame",
                    unwinder->broken_stacks());
  set.tls_ranges = merged(std::move(tls));
  set.stack_ranges = merged(std::move(stacks));
}

}  // namespace heapwalk
