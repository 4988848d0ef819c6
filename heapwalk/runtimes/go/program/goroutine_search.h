// runtime.allgs in a program without symbols.
//
//     data, bss:  … │ pointer │ length │ capacity │ …      a slice
//                       └─► g g g …                        each of them names itself in g.sched.g,
//                                                          has a known status, and a stack or none
// A g names itself at a fixed offset, so that a few of them are enough to be sure; of several such slices the longest one is
// the list of all.
#pragma once

#include <optional>

#include "heapwalk/runtimes/go/program/process.h"

namespace heapwalk::go {

// Whether a g stands there.
bool is_goroutine(const AddressSpace& memory, const Layout& layout, Address at);
// How many of them the slice there lists; 0 where it is none of goroutines.
uint64_t listed_goroutines(const AddressSpace& memory, const Layout& layout, const Slice& slice);

// The address of the slice.
std::optional<Address> search_all_goroutines(const AddressSpace& memory, const Layout& layout,
                                             const ModuleData& module);

}  // namespace heapwalk::go
