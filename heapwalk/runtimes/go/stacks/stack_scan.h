// The pointers on a goroutine's stack, exactly as the collector finds them.
//
//     sched.ctxt, defers ─┐
//     frames ─ maps ──────┴─► live slots ─► those that point into the stack
//                                                    │
//            stack objects (address-taken variables) ◄─┘ ─► the slots in them, live too, and so on
//
// A stack object that nothing live points to is dead, whatever it holds: a list that is reachable only through a variable
// that is not used any more is garbage.
//
// Maps hold at calls. Where a goroutine was interrupted between any two instructions (asynchronous preemption, a debugger's
// call, or, in a core, because it was running) the innermost frame and the registers are read conservatively: each word
// may be a pointer. Whatever only such a word keeps alive is conservative itself.
//
// Source: Go 1.19 … 1.27 runtime/mgcmark.go (scanstack, scanframeworker), runtime/mgcstack.go, runtime/preempt_xreg.go.
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/runtimes/go/stacks/stack_maps.h"

namespace heapwalk::go {

enum class SlotKind : uint8_t {
  local,           // in the frame, by its map
  argument,        // an argument, a result, or the spill slot of one: it lies in the caller's frame, at its bottom
  stack_object,    // in an address-taken variable
  frame_word,      // any word of a frame without a map
  register_word,   // a register, or a saved one outside of the stack
  context,         // g.sched.ctxt: the closure that a goroutine is about to run
  defer_function,  // _defer.fn
  defer_link,      // _defer.link
  defer_record,    // the record itself, where it is on the heap
};

struct StackPointer {
  Address at;          // null: a register
  uint64_t value = 0;  // never 0
  uint32_t frame = 0;  // index into GoroutineStack::frames
  SlotKind kind = SlotKind::local;
  bool exact = true;

  static constexpr uint32_t kNoFrame = UINT32_MAX;  // of the goroutine, or beyond the frames that are there
};

class StackScanner {
 public:
  // Both are borrowed.
  StackScanner(const CoreDump& dump, const Process& process);

  // Replaces `out`: by address, each slot once, exact rather than conservative; zero words left out. Slots that point into
  // the stack itself are there too. `stack` is as `walker` made it; where it has more frames, they are walked here.
  void scan(const Goroutine& goroutine, const GoroutineStack& stack, StackWalker& walker,
            std::vector<StackPointer>& out);

  // Frames at calls for which the maps could not be read, so far: they were scanned conservatively.
  uint64_t frames_without_maps() const { return frames_without_maps_; }
  uint64_t circles() const { return circles_; }  // lists of deferred calls that lead back into themselves

 private:
  struct Object {
    AddressRange range;
    const StackObject* object = nullptr;  // null once scanned
    uint32_t frame = 0;
  };
  struct Slot {
    uint32_t frame;
    SlotKind kind;
    bool exact;
  };
  void scan_frames(const std::vector<Frame>& frames, bool conservative, bool is_first);
  void scan_frame(const Frame& frame, uint32_t index, bool conservative);
  void scan_defers(const Goroutine& goroutine);
  void scan_registers(const Goroutine& goroutine, const GoroutineStack& stack);
  void scan_objects();
  void scan_object(Object& object, bool exact);
  void scan_bits(Address begin, const StackBits& bits, Slot slot);
  void scan_words(AddressRange range, Slot slot);
  void emit(Address at, uint64_t value, Slot slot);
  std::optional<uint64_t> word_at(Address at) const;
  Object* object_at(Address address);

  const AddressSpace& memory_;
  const Process& process_;
  StackMaps maps_;
  uint64_t frames_without_maps_ = 0, circles_ = 0;

  // Of the goroutine at hand.
  AddressRange stack_;
  Bytes stack_bytes_;  // from stack_.begin on, as far as they are in one piece
  std::vector<StackPointer>* out_ = nullptr;
  std::vector<Object> objects_;
  std::vector<Address> exact_, conservative_;  // into the stack, not yet followed
};

}  // namespace heapwalk::go
