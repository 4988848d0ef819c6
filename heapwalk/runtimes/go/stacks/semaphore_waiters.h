// Who waits for a semaphore: the queues behind Mutex, RWMutex and WaitGroup.
//
//     runtime.semtable[251] ─► treap of sudogs, one per semaphore (prev, next: the subtrees)
//                                   └─► waitlink ─► waitlink …: more goroutines for the same one
//
// Source: Go 1.19 … 1.25 runtime/sema.go. Since 1.26 a goroutine names its semaphore itself.
#pragma once

#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/runtimes/go/program/layout.h"

namespace heapwalk::go {

struct SemaphoreWaiter {
  Address g, sudog, semaphore;
};
// At most `limit` of them, the number of goroutines: the lists of a damaged core may be cyclic.
std::vector<SemaphoreWaiter> read_semaphore_waiters(const CoreDump& dump, const Layout& layout, Address table,
                                                    size_t limit);

}  // namespace heapwalk::go
