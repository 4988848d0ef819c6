// Go, as the analysis asks for it (heapwalk/runtimes/runtime.h).
//
//     program/    what the binary says: layouts by release, module data, functions, variables of stripped programs
//     heap/       spans, slots, which words of a slot are pointers, what is noted about single objects
//     stacks/     goroutines, their frames, which words of a frame are pointers, what waits for what
//     types/      run-time types, and which of them each object has
//     profiles/   what the run-time has counted, as the program itself would have written it
//
// Each may include what stands above it; profiles leave types alone.
#pragma once

#include <memory>

#include "heapwalk/runtimes/runtime.h"

namespace heapwalk::go {

std::unique_ptr<Runtime> detect(const CoreDump& dump, Diagnostics& diagnostics);

}  // namespace heapwalk::go
