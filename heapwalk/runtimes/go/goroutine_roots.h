// Goroutines as roots: what each of them keeps, by frame, under the place that created them.
//
//     process ─ 3 goroutines created by main.serve ─┬ goroutine 42 [chan receive, 17 min] ─┬ main.worker  [sp, fp)
//                                                   ├ goroutine 43 …                      ├ main.serve.func1
//                                                   └ …                                   └ rbx (a register)
//
// A frame is one root: the words of it that are pointers are the collector's (stack_scan.h). Those who were created at one
// place are one owner, since a leak of goroutines is a leak of that place, however small each of them is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "heapwalk/managed_heap.h"
#include "heapwalk/root_set.h"
#include "heapwalk/runtimes/go/goroutines.h"
#include "heapwalk/runtimes/go/heap.h"

namespace heapwalk {
struct RootInputs;
}

namespace heapwalk::go {

class GoroutineRoots {
 public:
  // Borrows the heap. Unwinds and scans the stacks of all goroutines.
  GoroutineRoots(const Heap& heap, Diagnostics& diagnostics);

  // Appends the words that are pointers, not sorted.
  void add_words(ManagedHeap& managed) const;
  // Those that lead to an object.
  void add_roots(const RootInputs& inputs, RootSet& set) const;

  const Goroutines& goroutines() const { return goroutines_; }

 private:
  struct Place {  // a frame, or a value that has no place in it
    uint32_t goroutine = 0;
    uint32_t text = 0;  // of the frame's function
    AddressRange location;
    uint64_t value = 0;
    bool is_exact = false;
    uint32_t first_word = 0, words = 0;
  };
  struct Text {
    std::string function, source;
  };
  struct Word {
    Address at;
    bool is_exact;
  };
  uint32_t text_of(Address call_pc);
  std::string creator(const Goroutine& goroutine) const;
  std::string label(const Goroutine& goroutine) const;
  bool leads_to_object(const RootInputs& inputs, const Place& place) const;

  const Heap& heap_;
  Functions functions_;
  Goroutines goroutines_;
  std::vector<Place> places_;  // by goroutine
  std::vector<Word> words_;
  std::vector<Text> texts_;
  std::unordered_map<uint64_t, uint32_t> text_of_pc_;
};

}  // namespace heapwalk::go
