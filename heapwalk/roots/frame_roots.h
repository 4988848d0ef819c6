// The locals and parameters of a thread's frames, as places that may refer to the heap.
//
//     high  │ #1 main        │ local server   [+0x18, +0x20)  Server*        its memory is carved out of the frame,
//           │                │ …              conservative                   the rest stays what it was: words
//           │ #0 serve(int)  │ param req      rbx             Request&
//     low ◄─┴─ sp
//
// Only what the debug info calls a variable's place at the frame's pc counts. Where two claim one word, the frame that the
// word lies in comes before others (a callee may describe an object in its caller's frame), an outer scope before an inner
// one, a function before what was inlined into it.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dwarf/unwinder.h"
#include "heapwalk/roots/find_roots.h"

namespace heapwalk {

// A variable, or the part of it that has a place of its own.
struct FramePlace {
  size_t frame = 0;
  std::string name;  // "local batch", "inlined parse(Buffer&) parameter text"
  std::string source;
  TypeId type = kNoType;
  AddressRange memory = {};  // in the thread's stack; empty: the value is in a register, or computed
  std::optional<unsigned> number = std::nullopt;  // DWARF's, of that register
  uint64_t value = 0;
};

// What every frame of the process is doing, by module: link addresses.
std::map<const Module*, std::vector<uint64_t>> pcs_of_frames(const CoreDump& dump, Unwinder& unwinder);

class FramePlaces {
 public:
  FramePlaces(const RootInputs& inputs, ModuleVariables& variables) : inputs_(inputs), variables_(variables) {}

  // The places of a thread's frames that refer to the heap; in memory: inside one of the parts of its stack, disjoint, by
  // address, and before those in registers.
  std::vector<FramePlace> find(std::span<const AddressRange> stack, const std::vector<Frame>& frames);
  // What the debug info says of the function at a pc that a run-time wanted (Runtime::frame_pcs); null: nothing.
  const FrameFunction* function_at(Address pc) const;
  uint64_t skipped() const { return skipped_; }  // frames, when there were too many variables to look at

 private:
  const RootInputs& inputs_;
  ModuleVariables& variables_;
  uint64_t looked_at_ = 0;  // variables
  uint64_t skipped_ = 0;
};

}  // namespace heapwalk
