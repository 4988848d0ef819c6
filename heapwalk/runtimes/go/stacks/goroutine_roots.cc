#include "heapwalk/runtimes/go/stacks/goroutine_roots.h"

#include <algorithm>
#include <map>

#include "heapwalk/roots/find_roots.h"
#include "heapwalk/roots/frame_roots.h"
#include "heapwalk/roots/word_scan.h"

namespace heapwalk::go {
namespace {

constexpr uint32_t kNoText = UINT32_MAX;

// The frame whose memory holds the address; frames ascend from the innermost one.
const go::Frame* frame_at(const std::vector<go::Frame>& frames, Address address) {
  auto next = std::ranges::upper_bound(frames, address, {}, &go::Frame::sp);
  if (next == frames.begin() || address >= std::prev(next)->fp) return nullptr;
  return &*std::prev(next);
}

// Memory that is neither Go's nor a module's: malloc's is there.
std::vector<AddressRange> foreign_memory(const Heap& heap) {
  std::vector<AddressRange> taken(heap.arenas().begin(), heap.arenas().end());
  for (const Module& module : heap.dump().modules)
    for (const ModuleSegment& segment : module.segments) taken.push_back(segment.range);
  taken = merged(std::move(taken));
  std::vector<AddressRange> foreign;
  for (const Mapping& mapping : heap.dump().mappings) {
    if (!mapping.writable) continue;
    const std::vector<AddressRange> rest = subtract(mapping.range, taken);
    foreign.insert(foreign.end(), rest.begin(), rest.end());
  }
  return merged(std::move(foreign));
}

// Whether a word of memory leads to where `is_wanted` says.
template <class F>
bool any_word(const AddressSpace& memory, AddressRange range, F is_wanted) {
  const Bytes bytes = memory.read(range.begin, range.size_bytes());
  for (size_t offset = 0; offset + 8 <= bytes.size(); offset += 8)
    if (is_wanted(Address{load<uint64_t>(bytes.data() + offset)})) return true;
  return false;
}

bool leads_out(const RootInputs& inputs, AddressRange range) {
  return any_word(inputs.dump->memory, range, [&](Address value) {
    return inputs.objects->span().contains(value) && inputs.managed != nullptr && !inputs.managed->contains(value) &&
           inputs.objects->find_used(value).has_value();
  });
}

}  // namespace

GoroutineRoots::GoroutineRoots(const Heap& heap, Diagnostics& diagnostics)
    : heap_(heap), functions_(heap.dump().memory, heap.process().layout, heap.process().modules) {
  goroutines_ = read_goroutines(heap.dump(), heap.process(), functions_, diagnostics);
  drop_impossible_stacks(diagnostics);
  StackWalker walker(heap.dump(), heap.process(), functions_);
  StackScanner scanner(heap.dump(), heap.process());
  GoroutineStack stack;
  std::vector<StackPointer> pointers;
  const std::vector<AddressRange> foreign = foreign_memory(heap);
  uint64_t broken = 0;
  for (const Goroutine& goroutine : goroutines_.all) {
    walker.walk(goroutine, stack);
    if (stack.start != StackStart::none && !stack.complete) ++broken;
    scanner.scan(goroutine, stack, walker, pointers);
    add_pointers(goroutine, stack, pointers);
    add_foreign(stack, foreign);
  }
  if (broken > 0)
    diagnostics.add("go_broken_stack",
                    "goroutines whose stacks could not be unwound to their end: any word beyond may be a pointer",
                    broken);
  if (scanner.circles() > 0)
    diagnostics.add("go_list_endless", "lists of deferred calls that have no end", scanner.circles());
  if (scanner.frames_without_maps() > 0)
    diagnostics.add("go_frames_without_maps",
                    "frames of goroutines whose pointer maps could not be read: any of their words may be a pointer",
                    scanner.frames_without_maps());
}

// Where objects or variables are, no stack is.
void GoroutineRoots::drop_impossible_stacks(Diagnostics& diagnostics) {
  const auto spans = heap_.spans();
  uint64_t dropped = 0;
  for (Goroutine& goroutine : goroutines_.all) {
    if (goroutine.stack.empty()) continue;
    auto span = std::ranges::upper_bound(spans, goroutine.stack.begin, {}, [](const Span& s) { return s.range().end; });
    bool is_taken = std::ranges::any_of(heap_.dump().modules, [&](const Module& module) {
      return std::ranges::any_of(module.segments,
                                 [&](const ModuleSegment& segment) { return segment.range.overlaps(goroutine.stack); });
    });
    for (; span != spans.end() && span->begin < goroutine.stack.end && !is_taken; ++span)
      is_taken = span->state == SpanState::in_use;
    if (!is_taken) continue;
    goroutine.stack = {};
    ++dropped;
  }
  if (dropped > 0)
    diagnostics.add("go_broken_stack", "goroutines whose stacks would be where objects or variables are", dropped);
}

void GoroutineRoots::add_pointers(const Goroutine& goroutine, const GoroutineStack& stack,
                                  const std::vector<StackPointer>& pointers) {
  const Stack begin{frames_.size(), 0, values_.size(), 0};
  for (const StackPointer& pointer : pointers) {
    const bool is_on_stack = goroutine.stack.contains(pointer.at);
    const go::Frame* frame = is_on_stack ? frame_at(stack.frames, pointer.at) : nullptr;
    const go::Frame* named = pointer.frame < stack.frames.size() ? &stack.frames[pointer.frame] : frame;
    if (!is_on_stack) {
      values_.push_back({pointer.value, named == nullptr ? kNoText : text_of(named->call_pc()), pointer.exact});
      continue;
    }
    // What lies beyond where the walk broke off, or beyond very many frames, is one frame of no function.
    const bool is_known = frame != nullptr;
    const bool has_frame = frames_.size() > begin.first_frame;
    if (!is_known && has_frame && frames_.back().text == kNoText) {
      frames_.back().fp = pointer.at + 8;
    } else if (!is_known || !has_frame || frames_.back().sp != frame->sp) {
      const AddressRange range = is_known ? AddressRange{frame->sp, frame->fp} : AddressRange::of(pointer.at, 8);
      frames_.push_back({is_known ? frame->pc : Address{}, is_known ? frame->call_pc() : Address{}, range.begin,
                         range.end, is_known ? text_of(frame->call_pc()) : kNoText,
                         static_cast<uint32_t>(words_.size()), 0});
    }
    words_.push_back({pointer.at, pointer.exact});
    frames_.back().words += 1;
  }
  stacks_.push_back(
      {begin.first_frame, frames_.size() - begin.first_frame, begin.first_value, values_.size() - begin.first_value});
}

// Frames of the last goroutine in which there is no pointer, but what may lead to a block of malloc.
void GoroutineRoots::add_foreign(const GoroutineStack& stack, std::span<const AddressRange> foreign) {
  Stack& last = stacks_.back();
  const size_t with_pointers = last.first_frame + last.frames;
  size_t next = last.first_frame;
  for (const go::Frame& frame : stack.frames) {
    while (next < with_pointers && frames_[next].sp < frame.sp) ++next;
    if (next < with_pointers && frames_[next].sp == frame.sp) continue;
    if (!any_word(heap_.dump().memory, {frame.sp, frame.fp}, [&](Address value) {
          const auto at = std::ranges::upper_bound(foreign, value, {}, &AddressRange::end);
          return at != foreign.end() && at->contains(value);
        }))
      continue;
    frames_.push_back({frame.pc, frame.call_pc(), frame.sp, frame.fp, text_of(frame.call_pc()),
                       static_cast<uint32_t>(words_.size()), 0});
  }
  last.frames = frames_.size() - last.first_frame;
  if (frames_.size() > with_pointers)
    std::ranges::sort(std::span(frames_).subspan(last.first_frame), {}, &StackFrame::sp);
}

uint32_t GoroutineRoots::text_of(Address call_pc) {
  auto [at, is_new] = text_of_pc_.try_emplace(call_pc.value, static_cast<uint32_t>(texts_.size()));
  if (!is_new) return at->second;
  std::vector<LogicalFrame> frames;
  functions_.logical_frames(call_pc, frames);
  Text text{"unknown function", {}};
  if (!frames.empty())
    text = {printed_function_name(frames.front().function),
            fmt::format("{}:{}", frames.front().file, frames.front().line)};
  texts_.push_back(std::move(text));
  return at->second;
}

void GoroutineRoots::add_words(ManagedHeap& managed) const {
  for (const Word& word : words_) (word.is_exact ? managed.exact_words : managed.conservative_words).push_back(word.at);
}

std::vector<Address> GoroutineRoots::frame_pcs() const {
  std::vector<Address> pcs;
  for (const auto& [pc, text] : text_of_pc_) pcs.push_back(Address{pc});
  return pcs;
}

std::string GoroutineRoots::creator(const Goroutine& goroutine) const {
  std::vector<LogicalFrame> frames;
  if (goroutine.created_at) functions_.logical_frames(goroutine.created_at - 1, frames);
  if (frames.empty()) return goroutine.id == 1 ? "the run-time (main)" : "the run-time";
  const std::string_view file = frames.front().file;
  return fmt::format("{} ({}:{})", printed_function_name(frames.front().function), file.substr(file.rfind('/') + 1),
                     frames.front().line);
}

std::string GoroutineRoots::label(const Goroutine& goroutine) const {
  const uint64_t minutes = goroutines_.waiting_minutes(goroutine);
  if (minutes == 0) return fmt::format("goroutine {} [{}]", goroutine.id, goroutine.state());
  return fmt::format("goroutine {} [{}, {} min]", goroutine.id, goroutine.state(), minutes);
}

// By goroutine: its owner, below one for all that were created at one place, if there are several.
std::vector<uint32_t> GoroutineRoots::add_owners(RootSet& set) const {
  std::map<uint64_t, std::vector<uint32_t>> by_creator;
  for (uint32_t i = 0; i < goroutines_.all.size(); ++i) by_creator[goroutines_.all[i].created_at.value].push_back(i);
  std::vector<uint32_t> owners(goroutines_.all.size());
  for (const auto& [pc, members] : by_creator) {
    const auto group = static_cast<uint32_t>(set.owners.size());
    const Goroutine& first = goroutines_.all[members.front()];
    const std::string by = "created by " + creator(first);
    set.owners.push_back({OwnerKind::goroutine, kNoOwner,
                          members.size() == 1 ? fmt::format("{} {}", label(first), by)
                                              : fmt::format("{} goroutines {}", members.size(), by)});
    for (uint32_t member : members) {
      owners[member] = group;
      if (members.size() == 1) continue;
      owners[member] = static_cast<uint32_t>(set.owners.size());
      set.owners.push_back({OwnerKind::goroutine, group, label(goroutines_.all[member])});
    }
  }
  return owners;
}

// Those that wait for other goroutines; for the clock, the network or a system call, nobody has to hold anything.
void GoroutineRoots::add_waiting(const std::vector<uint32_t>& owners, RootSet& set) const {
  for (uint32_t i = 0; i < goroutines_.all.size(); ++i) {
    const Goroutine& goroutine = goroutines_.all[i];
    set.wait_records.push_back(goroutine.g);
    for (const Blocker& blocker : goroutine.blocked_on) set.wait_records.push_back(blocker.sudog);
    const bool waits = goroutine.status == GoroutineStatus::waiting || goroutine.status == GoroutineStatus::leaked;
    if (!waits || goroutine.is_system) continue;
    const std::string_view reason = goroutine.wait_reason;
    const bool for_ever = reason.find("nil chan") != std::string_view::npos || reason == "select (no cases)";
    const bool for_others = reason.starts_with("chan ") || reason.starts_with("select") ||
                            reason.starts_with("sync.") || reason == "semacquire";
    if (!for_ever && (!for_others || goroutine.blocked_on.empty())) continue;
    Waiting waiting{owners[i], {}};
    for (const Blocker& blocker : goroutine.blocked_on) waiting.on.push_back(blocker.on);
    set.waiting.push_back(std::move(waiting));
  }
}

void GoroutineRoots::add_roots(const RootInputs& inputs, FramePlaces& places, RootSet& set) const {
  const std::vector<uint32_t> owners = add_owners(set);
  add_waiting(owners, set);
  for (uint32_t i = 0; i < goroutines_.all.size(); ++i) add_stack(inputs, places, i, owners[i], set);
}

void GoroutineRoots::add_stack(const RootInputs& inputs, FramePlaces& places, uint32_t goroutine, uint32_t owner,
                               RootSet& set) const {
  const Stack& stack = stacks_[goroutine];
  const std::string who = label(goroutines_.all[goroutine]);
  auto root_of = [&](uint32_t text) {
    const std::string what = text == kNoText ? "the run-time's own record" : texts_[text].function;
    return Root{.kind = RootKind::goroutine,
                .owner = owner,
                .name = who + " " + what,
                .stable_name = what,
                .source = text == kNoText ? "" : texts_[text].source,
                .location = {}};
  };
  const std::vector<AddressRange> variables = add_variables(places, goroutine, owner, set);
  for (size_t i = stack.first_frame; i < stack.first_frame + stack.frames; ++i)
    add_rest(inputs, frames_[i], variables, root_of(frames_[i].text), set);
  for (size_t i = stack.first_value; i < stack.first_value + stack.values; ++i) {
    if (!inputs.objects->find_used(Address{values_[i].value})) continue;
    Root root = root_of(values_[i].text);
    root.value = values_[i].value;
    root.is_exact = values_[i].is_exact;
    set.roots.push_back(std::move(root));
  }
}

// The variables of the debug info that hold something; their ranges, sorted.
std::vector<AddressRange> GoroutineRoots::add_variables(FramePlaces& places, uint32_t goroutine, uint32_t owner,
                                                        RootSet& set) const {
  const Stack& stack = stacks_[goroutine];
  std::vector<heapwalk::Frame> frames;
  std::vector<AddressRange> parts;
  for (size_t i = stack.first_frame; i < stack.first_frame + stack.frames; ++i) {
    const StackFrame& from = frames_[i];
    if (from.text == kNoText) continue;
    frames.push_back({.pc = from.pc,
                      .cfa_or_sp = from.sp,
                      .function = texts_[from.text].function,
                      .lookup_pc = from.call_pc,
                      .registers = {},
                      .cfa = from.fp.value});
    parts.push_back({from.sp, from.fp});
  }
  std::vector<AddressRange> ranges;
  parts = merged(std::move(parts));
  for (FramePlace& place : places.find(parts, frames)) {
    if (place.memory.empty()) continue;
    const std::string what = frames[place.frame].function + " " + place.name;
    ranges.push_back(place.memory);
    set.roots.push_back({.kind = RootKind::goroutine,
                         .owner = owner,
                         .name = label(goroutines_.all[goroutine]) + " " + what,
                         .stable_name = what,
                         .source = std::move(place.source),
                         .type = place.type,
                         .location = place.memory});
  }
  return merged(std::move(ranges));
}

// What no variable covers of a frame: one root per stretch that leads to an object.
void GoroutineRoots::add_rest(const RootInputs& inputs, const StackFrame& frame, const std::vector<AddressRange>& taken,
                              Root root, RootSet& set) const {
  const auto words = std::span(words_).subspan(frame.first_word, frame.words);
  for (AddressRange part : subtract({frame.sp, frame.fp}, taken)) {
    const bool leads = std::ranges::any_of(words, [&](const Word& word) {
      if (!part.contains(word.at)) return false;
      const auto value = inputs.dump->memory.read_pointer(word.at);
      return value && inputs.objects->find_used(*value).has_value();
    });
    if (!leads && !leads_out(inputs, part)) continue;
    root.location = part;
    root.sp_offset_bytes = static_cast<int64_t>(part.begin - frame.sp);
    set.roots.push_back(root);
  }
}

}  // namespace heapwalk::go
