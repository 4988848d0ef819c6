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
// The stack is live from the stack pointer (less the red zone) upwards. What the debug info calls a local or parameter is a
// root of its own (frame_roots.h). What is left of a frame that holds heap references becomes one root per stretch.
#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "dwarf/unwinder.h"
#include "heapwalk/roots/find_roots.h"
#include "heapwalk/roots/frame_roots.h"
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

// As people call it: by its own name if it has one.
std::string thread_label(const Thread& thread) {
  return thread.name.empty() ? fmt::format("thread {}", thread.tid) : fmt::format("thread \"{}\"", thread.name);
}

class ThreadRoots {
 public:
  ThreadRoots(const RootInputs& inputs, ModuleVariables& variables, RootSet& set, const Thread& thread,
              std::span<const AddressRange> foreign, std::vector<Frame> frames)
      : inputs_(inputs),
        variables_(variables),
        set_(set),
        thread_(thread),
        foreign_(foreign),
        frames_(std::move(frames)) {}

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

  // Registers that no variable of a frame is in.
  void add_registers() {
    for (const auto* registers : {&thread_.registers, &thread_.vector_registers})
      for (const Register& r : *registers)
        if (inputs_.objects->find_used(Address{r.value}) && !is_managed(r.value) && !is_named(r))
          set_.roots.push_back({.kind = RootKind::register_,
                                .owner = owner(),
                                .name = std::string(r.name),
                                .stable_name = std::string(r.name),
                                .source = {},
                                .location = {},
                                .value = r.value});
  }

  // The locals and parameters of the frames, in memory and in registers.
  void add_variables(FramePlaces& places) {
    if (frames_.empty() || thread_.stack.empty()) return;
    const std::vector<AddressRange> stack = own_stack(tls_ranges_);
    for (FramePlace& place : places.find(stack, frames_)) {
      const std::string function = function_name(place.frame);
      const bool in_memory = !place.memory.empty();
      if (in_memory) {
        variable_ranges_.push_back(place.memory);
      } else if (place.number && frames_[place.frame].registers.places[*place.number] == FrameRegisters::kInProcessor) {
        named_registers_.insert(*place.number);
      }
      set_.roots.push_back(
          {.kind = in_memory ? RootKind::stack : RootKind::register_,
           .owner = frame_owner(place.frame),
           .name = fmt::format("{} frame #{} {} {}", thread_label(thread_), place.frame, function, place.name),
           .stable_name = function + " " + place.name,
           .source = std::move(place.source),
           .type = place.type,
           .location = place.memory,
           .value = place.value});
    }
  }

  void add_stack() {
    std::vector<AddressRange> taken = tls_ranges_;
    taken.insert(taken.end(), variable_ranges_.begin(), variable_ranges_.end());
    const size_t ordered = ordered_frames(frames_);
    for (AddressRange part : own_stack(std::move(taken))) {
      size_t last_frame = SIZE_MAX;
      for_each_heap_word(inputs_, part, [&](Address word) {
        const size_t frame = frame_at(std::span(frames_).first(ordered), word);
        if (frame != last_frame) add_frame(frame, ordered, part, word);
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

  // The live part of the stack, less what is taken and what is not the thread's.
  std::vector<AddressRange> own_stack(std::vector<AddressRange> taken) const {
    taken.insert(taken.end(), foreign_.begin(), foreign_.end());
    return subtract(thread_.stack, merged(std::move(taken)));
  }

  bool is_managed(uint64_t value) const {
    return inputs_.managed != nullptr && inputs_.managed->contains(Address{value});
  }
  bool is_named(const Register& r) const {
    const auto number = dwarf_register(inputs_.dump->process.architecture, r.name);
    return number && named_registers_.contains(*number);
  }

  std::string function_name(size_t frame) const {
    return frames_[frame].function.empty() ? "unknown function" : frames_[frame].function;
  }
  uint32_t frame_owner(size_t frame) {
    auto [at, is_new] = frame_owners_.try_emplace(frame);
    if (is_new) {
      const uint32_t thread = owner();
      at->second = static_cast<uint32_t>(set_.owners.size());
      const std::string name = frame < frames_.size() ? fmt::format("#{} {}", frame, function_name(frame)) : "stack";
      set_.owners.push_back({OwnerKind::frame, thread, name});
    }
    return at->second;
  }

  // The frame whose part of the stack holds the address: frames ascend from the innermost one.
  static size_t frame_at(std::span<const Frame> frames, Address address) {
    auto next = std::ranges::upper_bound(frames, address, {}, &Frame::cfa_or_sp);
    if (next == frames.begin()) return 0;  // no frames, or the red zone below the innermost one
    return static_cast<size_t>(next - frames.begin() - 1);
  }

  // What is left of the frame in this part of the stack.
  void add_frame(size_t frame, size_t ordered, AddressRange part, Address word) {
    AddressRange range = part;
    if (frame > 0) range.begin = std::max(range.begin, frames_[frame].cfa_or_sp);
    if (frame + 1 < ordered) range.end = std::min(range.end, frames_[frame + 1].cfa_or_sp);
    range.end = std::max(range.end, word + 8);
    const uint32_t owner = frame_owner(frame);
    const Address sp = frame < ordered ? frames_[frame].cfa_or_sp : thread_.stack.begin;
    set_.roots.push_back({.kind = RootKind::stack,
                          .owner = owner,
                          .name = set_.owners[owner].name,
                          .stable_name = frame < ordered ? function_name(frame) : "stack",
                          .source = {},
                          .location = range,
                          .sp_offset_bytes = static_cast<int64_t>(range.begin - sp)});
  }

  // How many frames ascend in the stack; the unwinder may fail on a smashed stack, and then the list just ends.
  static size_t ordered_frames(std::span<const Frame> frames) {
    size_t count = 0;
    while (count < frames.size() && (count == 0 || frames[count].cfa_or_sp > frames[count - 1].cfa_or_sp)) ++count;
    return count;
  }

  const RootInputs& inputs_;
  ModuleVariables& variables_;
  RootSet& set_;
  const Thread& thread_;
  std::span<const AddressRange> foreign_;  // memory of heaps and run-times: a goroutine's stack lies there
  uint32_t owner_ = kNoOwner;
  std::vector<Frame> frames_;
  std::vector<AddressRange> tls_ranges_;
  std::vector<AddressRange> variable_ranges_;
  std::unordered_map<size_t, uint32_t> frame_owners_;  // by frame
  std::unordered_set<unsigned> named_registers_;       // by DWARF number
};

}  // namespace

void add_thread_roots(const RootInputs& inputs, FramePlaces& places, ModuleVariables& variables, Unwinder* unwinder,
                      RootSet& set, Diagnostics& diagnostics) {
  const uint64_t control_block = control_block_bytes(*inputs.dump);
  // A thread that runs a goroutine is on that one's stack: the run-time accounts for it.
  std::vector<AddressRange> foreign = set.stack_ranges;
  if (inputs.managed != nullptr)
    foreign.insert(foreign.end(), inputs.managed->ranges.begin(), inputs.managed->ranges.end());
  foreign = merged(std::move(foreign));
  std::vector<AddressRange> stacks = set.stack_ranges;  // a run-time's own are there already
  std::vector<AddressRange> tls;
  for (const Thread& thread : inputs.dump->threads) {
    const bool is_on_own_stack = !subtract({thread.stack_pointer, thread.stack_pointer + 1}, foreign).empty();
    const bool has_frames = unwinder != nullptr && !thread.stack.empty() && is_on_own_stack;
    ThreadRoots roots(inputs, variables, set, thread, foreign,
                      has_frames ? unwinder->unwind(thread) : std::vector<Frame>{});
    roots.add_tls(control_block);
    roots.add_variables(places);
    roots.add_registers();
    roots.add_stack();
    tls.insert(tls.end(), roots.tls_ranges().begin(), roots.tls_ranges().end());
    stacks.push_back(thread.stack_mapping);
  }
  if (unwinder != nullptr && unwinder->broken_stacks() > 0)
    diagnostics.add("broken_stack",
                    "stacks that could not be unwound to their end; what lies above is named by the last frame",
                    unwinder->broken_stacks());
  set.tls_ranges = merged(std::move(tls));
  set.stack_ranges = merged(std::move(stacks));
}

}  // namespace heapwalk
