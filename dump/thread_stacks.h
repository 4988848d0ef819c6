// Which memory is whose stack.
//
// A stack is a source of roots, so two mistakes are costly: to miss live frames loses what they hold, to take other
// memory for a stack (a heap that a stack pointer happens to be in, the cached stack of a dead thread) keeps garbage
// alive. In order of trust:
//   1. the thread's pthread stack block, which its own struct pthread describes (dump/pthread.h);
//   2. the mapping that the kernel made for the initial thread: the one that AT_EXECFN and AT_RANDOM point into;
//   3. the anonymous mapping that the stack pointer is in, unless it is the brk heap, and unless the thread pointer is
//      known and lies elsewhere (a goroutine's or a coroutine's stack: part of somebody's heap).
// A stack pointer outside of the stack that belongs to the thread is on an alternate stack.
#pragma once

#include "dump/core_dump.h"

namespace heapwalk {

// Fills in stack_mapping, stack and alternate_stack_pointer of every thread, and dump.dead_stacks.
void find_thread_stacks(CoreDump& dump);

}  // namespace heapwalk
