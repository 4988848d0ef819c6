// Goroutines as roots: what each of them keeps, by frame and variable, under the place that created them.
//
//     process ─ 3 goroutines created by main.serve ─┬ goroutine 42 [chan receive, 17 min] ─┬ main.worker local batch
//                                                   ├ goroutine 43 …                      ├ main.worker   (the rest)
//                                                   └ …                                   └ main.serve.func1
//
// Which words are pointers, the collector knows (stack_scan.h). Where the debug info has a variable for them they are named
// by it; what no variable covers of a frame is a root of its own. In a program with C, words that are no pointers to the
// collector may lead to blocks of malloc all the same: numbers, pointers to what C did not declare. Those who were created at one place are one owner, since a
// leak of goroutines is a leak of that place, however small each of them is.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "heapwalk/managed_heap.h"
#include "heapwalk/root_set.h"
#include "heapwalk/runtimes/go/heap/heap.h"
#include "heapwalk/runtimes/go/stacks/goroutines.h"
#include "heapwalk/runtimes/go/stacks/stack_scan.h"

namespace heapwalk {
class FramePlaces;
struct RootInputs;
}  // namespace heapwalk

namespace heapwalk::go {

class GoroutineRoots {
 public:
  // Borrows the heap. Unwinds and scans the stacks of all goroutines.
  GoroutineRoots(const Heap& heap, Diagnostics& diagnostics);

  // Appends the words that are pointers, not sorted.
  void add_words(ManagedHeap& managed) const;
  std::vector<Address> frame_pcs() const;
  // Those that lead to an object.
  void add_roots(const RootInputs& inputs, FramePlaces& places, RootSet& set) const;

  const Goroutines& goroutines() const { return goroutines_; }
  const Functions& functions() const { return functions_; }

 private:
  struct StackFrame {  // that holds pointers, or what may lead to a block of malloc
    Address pc, call_pc, sp, fp;
    uint32_t text;
    uint32_t first_word, words;
  };
  struct Value {  // a register, or what the run-time keeps beside the stack
    uint64_t value;
    uint32_t text;
    bool is_exact;
  };
  struct Stack {  // of one goroutine
    size_t first_frame, frames, first_value, values;
  };
  struct Text {
    std::string function, source;
  };
  struct Word {
    Address at;
    bool is_exact;
  };
  void drop_impossible_stacks(Diagnostics& diagnostics);
  void add_pointers(const Goroutine& goroutine, const GoroutineStack& stack, const std::vector<StackPointer>& pointers);
  void add_foreign(const GoroutineStack& stack, std::span<const AddressRange> foreign);
  uint32_t text_of(Address call_pc);
  std::string creator(const Goroutine& goroutine) const;
  std::string label(const Goroutine& goroutine) const;
  std::vector<uint32_t> add_owners(RootSet& set) const;
  void add_waiting(const std::vector<uint32_t>& owners, RootSet& set) const;
  void add_stack(const RootInputs& inputs, FramePlaces& places, uint32_t goroutine, uint32_t owner, RootSet& set) const;
  void add_rest(const RootInputs& inputs, const StackFrame& frame, const std::vector<AddressRange>& taken, Root root,
                RootSet& set) const;
  std::vector<AddressRange> add_variables(FramePlaces& places, uint32_t goroutine, uint32_t owner, RootSet& set) const;

  const Heap& heap_;
  Functions functions_;
  Goroutines goroutines_;
  std::vector<Stack> stacks_;  // by goroutine
  std::vector<StackFrame> frames_;
  std::vector<Value> values_;
  std::vector<Word> words_;  // by goroutine, then address
  std::vector<Text> texts_;
  std::unordered_map<uint64_t, uint32_t> text_of_pc_;
};

}  // namespace heapwalk::go
