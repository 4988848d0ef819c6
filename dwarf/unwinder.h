// The frames of a thread's stack, by call frame information.
//
// elfutils' libdwfl unwinds, with callbacks of ours over the mapped core: its stock core callbacks scan all program
// headers for every word read (735 µs per frame on a core with 2,000 segments; ours take about 1 µs).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dump/core_dump.h"
#include "dwarf/location.h"

namespace heapwalk {

struct Frame {
  Address pc;
  Address cfa_or_sp;          // the stack pointer in this frame: its lowest stack address
  std::string function;       // demangled; empty when no symbol covers the pc
  bool signal_frame = false;  // the kernel's trampoline: the next frame was interrupted
  Address lookup_pc;          // an address of the instruction that is under way: of a caller, its call
  FrameRegisters registers;   // what the frame would find in them, were it to run on
  std::optional<uint64_t> cfa;
};

// The number that DWARF gives to a register of a thread; nullopt: none, or the unwinder does not follow it.
std::optional<unsigned> dwarf_register(Architecture architecture, std::string_view name);

class Unwinder {
 public:
  static constexpr size_t kMaxFrames = 512;
  static Result<Unwinder> create(const CoreDump& dump);  // borrows the dump
  ~Unwinder();
  Unwinder(Unwinder&&) noexcept;
  Unwinder& operator=(Unwinder&&) noexcept;

  // Innermost first, at most max_frames. Ends where the stack cannot be unwound further; never fails.
  std::vector<Frame> unwind(const Thread& thread, size_t max_frames = kMaxFrames);
  // Frame::lookup_pc of the same frames, and nothing else of them; not counted in broken_stacks().
  std::vector<Address> lookup_pcs(const Thread& thread, size_t max_frames = kMaxFrames);
  // How many stacks so far ended before their outermost frame: smashed, or without call frame information.
  size_t broken_stacks() const;

 private:
  friend struct UnwinderCallbacks;
  struct State;
  explicit Unwinder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace heapwalk
