// The goroutines of a Go program: who they are, what each waits for, where its stack is.
//
//     runtime.allgs ─► g ─┬─► goid, status, wait reason, since when
//                         ├─► gopc, startpc, parentGoid: the `go` statement that made it, and what it runs
//                         ├─► waiting ─► sudog ─► sudog …: the channels and semaphores that could wake it
//                         ├─► stack [lo, hi), sched, syscallpc/sp: where to begin to unwind         stack_walk.h
//                         └─► m ─► procid: the thread that runs it
//
// A g is never freed: dead ones wait in allgs to be used again, and are left out here. Before Go 1.26 a goroutine that
// waits for a semaphore (a Mutex, a WaitGroup) does not say so itself: the queues of runtime.semtable do.
//
// Source: Go 1.19 … 1.27 runtime/runtime2.go (g, m, sudog), runtime/proc.go (allgs), runtime/sema.go, runtime/traceback.go
// (isSystemGoroutine).
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "dump/base/diagnostics.h"
#include "heapwalk/runtimes/go/program/pclntab.h"
#include "heapwalk/runtimes/go/program/process.h"

namespace heapwalk::go {

// The numbers are the run-time's; 10 and 11 since Go 1.26.
enum class GoroutineStatus : uint8_t {
  idle = 0,
  runnable = 1,
  running = 2,
  syscall = 3,
  waiting = 4,
  dead = 6,
  copystack = 8,
  preempted = 9,
  leaked = 10,
  dead_extra = 11,
};
std::string_view name_of(GoroutineStatus status);  // "runnable"

// What could wake a waiting goroutine; of a select there are several.
struct Blocker {
  Address sudog;
  Address on;  // the channel (hchan), or the address of the semaphore or condition
  bool is_channel = false;
};

// Where a goroutine that does not run goes on.
struct SavedState {
  Address pc, sp, bp, link, context;  // link: the link register, on CPUs that have one
};

struct Goroutine {
  Address g;
  uint64_t id = 0;
  uint64_t parent_id = 0;  // who made it; 0 before Go 1.21 and for the first
  GoroutineStatus status = GoroutineStatus::idle;
  bool is_system = false;         // the run-time's own: tracebacks and profiles leave it out
  bool locked_to_thread = false;  // runtime.LockOSThread
  bool async_safe_point = false;  // it was interrupted between any two instructions, not at a call
  uint8_t wait_reason_number = 0;
  std::string_view wait_reason;  // empty unless it waits and says why
  int64_t wait_since_ns = 0;     // of the monotonic clock; 0: unknown (no collection has seen it wait)
  Address created_at;            // the pc after the call of newproc; null for the first
  Address start;                 // entry of its function
  Address labels;                // pprof's
  AddressRange stack;
  SavedState sched, syscall;  // syscall.sp is null unless it is in a system call or in C
  Address defers, panics;     // heads of the lists
  Address m;
  uint32_t tid = 0;  // of the thread that runs it or makes its system call; 0: none
  std::vector<Blocker> blocked_on;

  // What a traceback prints in brackets: the wait reason, else the status.
  std::string_view state() const;
};

struct Goroutines {
  std::vector<Goroutine> all;  // by id
  uint64_t dead = 0;
  int64_t now_ns = 0;  // the monotonic clock at the dump, as well as it is known; 0: not known

  const Goroutine* find(Address g) const;
  // Whole minutes, as tracebacks print them from one minute on; 0: less, or unknown.
  uint64_t waiting_minutes(const Goroutine& goroutine) const;

 private:
  friend class GoroutineReader;
  std::vector<std::pair<Address, uint32_t>> by_address_;
};

// Empty where allgs is unknown. What could not be read is a diagnostic.
Goroutines read_goroutines(const CoreDump& dump, const Process& process, const Functions& functions,
                           Diagnostics& diagnostics);

}  // namespace heapwalk::go
