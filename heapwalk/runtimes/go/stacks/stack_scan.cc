#include "heapwalk/runtimes/go/stacks/stack_scan.h"

#include <algorithm>
#include <tuple>

#include "heapwalk/runtimes/go/heap/mask_program.h"
#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kWord = 8;
constexpr uint64_t kMaxDefers = 1 << 24;

bool is_interruption(FunctionKind kind) {
  return kind == FunctionKind::async_preempt || kind == FunctionKind::debug_call;
}

}  // namespace

StackScanner::StackScanner(const CoreDump& dump, const Process& process)
    : memory_(dump.memory), process_(process), maps_(dump, process) {}

void StackScanner::scan(const Goroutine& goroutine, const GoroutineStack& stack, StackWalker& walker,
                        std::vector<StackPointer>& out) {
  out.clear();
  out_ = &out;
  stack_ = goroutine.stack;
  stack_bytes_ = memory_.read(stack_.begin, stack_.size_bytes());
  objects_.clear();
  exact_.clear();
  conservative_.clear();

  const Record g(memory_, process_.layout, goroutine.g);
  if (goroutine.sched.context)
    emit(g.at(Field::g_sched) + process_.layout.offset(Field::gobuf_ctxt), goroutine.sched.context.value,
         {StackPointer::kNoFrame, SlotKind::context, true});
  scan_registers(goroutine, stack);
  scan_frames(stack.frames, stack.start == StackStart::registers, true);
  AddressRange beyond = stack.rest;
  if (stack.more) {
    GoroutineStack outer = stack;
    while (outer.more) {
      const bool conservative = is_interruption(outer.more->callee);
      walker.walk_on(goroutine, outer);
      scan_frames(outer.frames, conservative, false);
    }
    beyond = outer.rest;
  }
  scan_words(beyond, {StackPointer::kNoFrame, SlotKind::frame_word, false});
  scan_defers(goroutine);
  if (stack_.contains(goroutine.panics)) exact_.push_back(goroutine.panics);
  scan_objects();

  auto before = [](const StackPointer& a, const StackPointer& b) {
    if (a.at != b.at) return a.at < b.at;
    const auto rank = [](const StackPointer& pointer) {
      return std::tuple(pointer.at ? 0 : pointer.value, !pointer.exact, pointer.kind);
    };
    return rank(a) < rank(b);
  };
  if (!std::ranges::is_sorted(out, before)) std::ranges::sort(out, before);
  const auto rest = std::ranges::unique(
      out, {}, [](const StackPointer& pointer) { return std::pair(pointer.at, pointer.at ? 0 : pointer.value); });
  out.erase(rest.begin(), rest.end());
}

void StackScanner::scan_frames(const std::vector<Frame>& frames, bool conservative, bool is_first) {
  for (uint32_t i = 0; i < frames.size(); ++i) {
    const bool interrupts = is_interruption(frames[i].function().kind);
    scan_frame(frames[i], is_first ? i : StackPointer::kNoFrame, conservative || interrupts);
    conservative = interrupts;  // it holds the registers of the frame that it interrupted
  }
}

std::optional<uint64_t> StackScanner::word_at(Address at) const {
  const uint64_t offset = at - stack_.begin;
  if (stack_bytes_.size() >= 8 && offset <= stack_bytes_.size() - 8)
    return load<uint64_t>(stack_bytes_.data() + offset);
  return memory_.read_word(at);
}

void StackScanner::emit(Address at, uint64_t value, Slot slot) {
  if (value == 0) return;
  out_->push_back({at, value, slot.frame, slot.kind, slot.exact});
  if (stack_.contains(Address{value})) (slot.exact ? exact_ : conservative_).push_back(Address{value});
}

void StackScanner::scan_words(AddressRange range, Slot slot) {
  range = {range.begin.align_up(kWord), range.end.align_down(kWord)};
  const Bytes bytes = memory_.read_exactly(range.begin, range.size_bytes());
  for (uint64_t offset = 0; offset < range.size_bytes(); offset += kWord) {
    const auto value = bytes.empty() ? memory_.read_word(range.begin + offset) : load<uint64_t>(bytes.data() + offset);
    if (value) emit(range.begin + offset, *value, slot);
  }
}

void StackScanner::scan_bits(Address begin, const StackBits& bits, Slot slot) {
  for (uint32_t i = 0; i < bits.count; ++i) {
    if (i % 8 == 0 && bits.bits[i / 8] == std::byte{0}) {
      i += 7;
      continue;
    }
    if (!bits[i]) continue;
    if (const auto value = word_at(begin + i * kWord)) emit(begin + i * kWord, *value, slot);
  }
}

void StackScanner::scan_frame(const Frame& frame, uint32_t index, bool conservative) {
  const AddressRange arguments = AddressRange::of(frame.argp, maps_.argument_bytes(frame)).intersect(stack_);
  const Slot any_word{index, SlotKind::frame_word, false};
  if (conservative) {
    scan_words({frame.sp, frame.varp}, any_word);
    scan_words(arguments, any_word);
    return;
  }
  const FrameMaps maps = maps_.of(frame);
  frames_without_maps_ += maps.locals_unknown || maps.arguments_unknown;
  const uint64_t locals_bytes = maps.locals.count * kWord;
  if (maps.locals_unknown || locals_bytes > frame.varp - frame.sp)
    scan_words({frame.sp, frame.varp}, any_word);
  else
    scan_bits(frame.varp - locals_bytes, maps.locals, {index, SlotKind::local, true});
  if (maps.arguments_unknown || maps.arguments.count * kWord > stack_.end - frame.argp)
    scan_words(arguments, any_word);
  else
    scan_bits(frame.argp, maps.arguments, {index, SlotKind::argument, true});
  if (maps.objects == nullptr) return;
  for (const StackObject& object : *maps.objects) {
    const Address base = object.offset < 0 ? frame.varp : frame.argp;
    const AddressRange range =
        AddressRange::of(base + static_cast<uint64_t>(int64_t{object.offset}), object.size_bytes);
    // Below the stack pointer: the frame does not have it yet.
    if (range.begin >= frame.sp && stack_.contains(range)) objects_.push_back({range, &object, index});
  }
}

void StackScanner::scan_registers(const Goroutine& goroutine, const GoroutineStack& stack) {
  const Slot slot{stack.frames.empty() ? StackPointer::kNoFrame : 0, SlotKind::register_word, false};
  for (uint64_t value : stack.registers) emit({}, value, slot);
  // Since 1.26 asynchronous preemption keeps the vector registers apart.
  const Layout& layout = process_.layout;
  if (!goroutine.async_safe_point || !layout.has(Field::g_xRegs)) return;
  const Record g(memory_, layout, goroutine.g);
  const Address state = g.pointer_or_null(Field::g_xRegs, layout.offset(Field::xRegPerG_state));
  if (state)
    scan_words(AddressRange::of(state + layout.offset(Field::xRegState_regs), layout.width(Field::xRegState_regs)),
               slot);
}

// A record that was seen before, at the last power of two, ends it: the list is a circle (Brent, BIT 1980).
void StackScanner::scan_defers(const Goroutine& goroutine) {
  const Record g(memory_, process_.layout, goroutine.g);
  Address at = goroutine.defers, held_at = g.at(Field::g_defer), seen;
  for (uint64_t i = 0, next = 1; at && i < kMaxDefers; ++i) {
    if (at == seen) {
      ++circles_;
      return;
    }
    if (i + 1 == next) {
      seen = at;
      next *= 2;
    }
    const Record record(memory_, process_.layout, at);
    const auto function = record.word(Field::defer_fn);
    const auto link = record.pointer(Field::defer_link);
    if (!function || !link) return;
    emit(record.at(Field::defer_fn), *function, {StackPointer::kNoFrame, SlotKind::defer_function, true});
    emit(record.at(Field::defer_link), link->value, {StackPointer::kNoFrame, SlotKind::defer_link, true});
    if (record.read<uint8_t>(Field::defer_heap).value_or(0) != 0)
      emit(held_at, at.value, {StackPointer::kNoFrame, SlotKind::defer_record, true});
    held_at = record.at(Field::defer_link);
    at = *link;
  }
}

// Exact pointers first, so that an object that both kinds reach is scanned exactly.
void StackScanner::scan_objects() {
  const auto begin = [](const Object& object) { return object.range.begin; };
  if (!std::ranges::is_sorted(objects_, {}, begin)) std::ranges::stable_sort(objects_, {}, begin);
  for (;;) {
    const bool exact = !exact_.empty();
    std::vector<Address>& from = exact ? exact_ : conservative_;
    if (from.empty()) return;
    const Address pointer = from.back();
    from.pop_back();
    Object* object = object_at(pointer);
    if (object != nullptr && object->object != nullptr) scan_object(*object, exact);
  }
}

StackScanner::Object* StackScanner::object_at(Address address) {
  const auto after =
      std::ranges::upper_bound(objects_, address, {}, [](const Object& object) { return object.range.begin; });
  if (after == objects_.begin()) return nullptr;
  Object& object = *(after - 1);
  return object.range.contains(address) ? &object : nullptr;
}

void StackScanner::scan_object(Object& object, bool exact) {
  const StackObject& record = *object.object;
  object.object = nullptr;
  const Slot slot{object.frame, SlotKind::stack_object, exact};
  StackBits bits{record.borrowed_mask, static_cast<uint32_t>(record.pointer_bytes / kWord)};
  if (bits.count == 0) return;
  std::optional<std::vector<uint64_t>> written;
  if (record.is_program) {
    written = run_mask_program(memory_, record.mask, bits.count);
    if (written) bits.bits = std::as_bytes(std::span(*written));
  } else if (bits.bits.empty()) {
    bits.bits = memory_.read_exactly(record.mask, (uint64_t{bits.count} + 7) / 8);
  }
  if (bits.bits.size() * 8 < bits.count) {
    scan_words(object.range, {object.frame, SlotKind::stack_object, false});
    return;
  }
  scan_bits(object.range.begin, bits, slot);
}

}  // namespace heapwalk::go
