#include "heapwalk/runtimes/go/goroutine_roots.h"

#include <algorithm>
#include <map>

#include "heapwalk/roots/find_roots.h"
#include "heapwalk/runtimes/go/stack_scan.h"

namespace heapwalk::go {
namespace {

constexpr uint32_t kNoText = UINT32_MAX;

// The frame whose memory holds the address; frames ascend from the innermost one.
const Frame* frame_at(const std::vector<Frame>& frames, Address address) {
  auto next = std::ranges::upper_bound(frames, address, {}, &Frame::sp);
  if (next == frames.begin() || address >= std::prev(next)->fp) return nullptr;
  return &*std::prev(next);
}

}  // namespace

GoroutineRoots::GoroutineRoots(const Heap& heap, Diagnostics& diagnostics)
    : heap_(heap), functions_(heap.dump().memory, heap.process().layout, heap.process().modules) {
  goroutines_ = read_goroutines(heap.dump(), heap.process(), functions_, diagnostics);
  StackWalker walker(heap.dump(), heap.process(), functions_);
  StackScanner scanner(heap.dump(), heap.process());
  GoroutineStack stack;
  std::vector<StackPointer> pointers;
  uint64_t broken = 0;
  for (uint32_t i = 0; i < goroutines_.all.size(); ++i) {
    const Goroutine& goroutine = goroutines_.all[i];
    walker.walk(goroutine, stack);
    if (stack.start != StackStart::none && !stack.complete) ++broken;
    scanner.scan(goroutine, stack, pointers);
    const Frame* last = nullptr;
    for (const StackPointer& pointer : pointers) {
      const Frame* frame = goroutine.stack.contains(pointer.at) ? frame_at(stack.frames, pointer.at) : nullptr;
      const bool names_frame = pointer.frame < stack.frames.size();
      const Frame* named = frame != nullptr ? frame : names_frame ? &stack.frames[pointer.frame] : nullptr;
      if (frame == nullptr || frame != last) {
        Place place{i,
                    named == nullptr ? kNoText : text_of(named->call_pc()),
                    {},
                    pointer.value,
                    pointer.exact,
                    static_cast<uint32_t>(words_.size()),
                    0};
        if (frame != nullptr) place.location = {frame->sp, frame->fp};
        if (frame == nullptr && goroutine.stack.contains(pointer.at)) place.location = AddressRange::of(pointer.at, 8);
        places_.push_back(place);
      }
      last = frame;
      if (places_.back().location.empty()) continue;
      words_.push_back({pointer.at, pointer.exact});
      places_.back().words += 1;
    }
  }
  if (broken > 0)
    diagnostics.add("go_broken_stack",
                    "goroutines whose stacks could not be unwound to their end; all words beyond may be pointers",
                    broken);
  if (scanner.frames_without_maps() > 0)
    diagnostics.add("go_frames_without_maps",
                    "frames of goroutines whose pointer maps could not be read: any of their words "
                    "may be a pointer",
                    scanner.frames_without_maps());
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

std::string GoroutineRoots::creator(const Goroutine& goroutine) const {
  std::vector<LogicalFrame> frames;
  if (goroutine.created_at) functions_.logical_frames(goroutine.created_at - 1, frames);
  if (frames.empty()) return goroutine.id == 1 ? "the run-time (main)" : "the run-time";
  return fmt::format("{} ({}:{})", printed_function_name(frames.front().function), frames.front().file,
                     frames.front().line);
}

std::string GoroutineRoots::label(const Goroutine& goroutine) const {
  const uint64_t minutes = goroutines_.waiting_minutes(goroutine);
  if (minutes == 0) return fmt::format("goroutine {} [{}]", goroutine.id, goroutine.state());
  return fmt::format("goroutine {} [{}, {} min]", goroutine.id, goroutine.state(), minutes);
}

bool GoroutineRoots::leads_to_object(const RootInputs& inputs, const Place& place) const {
  if (place.location.empty()) return inputs.objects->find_used(Address{place.value}).has_value();
  for (uint32_t i = 0; i < place.words; ++i) {
    const auto value = inputs.dump->memory.read_pointer(words_[place.first_word + i].at);
    if (value && inputs.objects->find_used(*value)) return true;
  }
  return false;
}

void GoroutineRoots::add_roots(const RootInputs& inputs, RootSet& set) const {
  std::map<uint64_t, std::vector<uint32_t>> by_creator;  // goroutines, by the pc that created them
  for (uint32_t i = 0; i < goroutines_.all.size(); ++i) by_creator[goroutines_.all[i].created_at.value].push_back(i);
  std::vector<uint32_t> owner_of(goroutines_.all.size());
  for (const auto& [pc, members] : by_creator) {
    const auto group = static_cast<uint32_t>(set.owners.size());
    const std::string by = "created by " + creator(goroutines_.all[members.front()]);
    set.owners.push_back({OwnerKind::goroutine, kNoOwner,
                          members.size() == 1 ? fmt::format("{} {}", label(goroutines_.all[members.front()]), by)
                                              : fmt::format("{} goroutines {}", members.size(), by)});
    for (uint32_t member : members) {
      owner_of[member] = group;
      if (members.size() == 1) continue;
      owner_of[member] = static_cast<uint32_t>(set.owners.size());
      set.owners.push_back({OwnerKind::goroutine, group, label(goroutines_.all[member])});
    }
  }
  for (const Place& place : places_) {
    if (!leads_to_object(inputs, place)) continue;
    const Goroutine& goroutine = goroutines_.all[place.goroutine];
    const bool is_named = place.text != kNoText;
    const std::string what = is_named ? texts_[place.text].function : "the run-time's own record";
    set.roots.push_back({.kind = RootKind::goroutine,
                         .owner = owner_of[place.goroutine],
                         .name = fmt::format("{} {}", label(goroutine), what),
                         .stable_name = what,
                         .source = is_named ? texts_[place.text].source : "",
                         .location = place.location,
                         .value = place.location.empty() ? place.value : 0,
                         .is_exact = place.is_exact});
  }
}

}  // namespace heapwalk::go
