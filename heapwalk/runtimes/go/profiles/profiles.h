// The profiles that Go's run-time keeps of its program, rebuilt as runtime/pprof writes them.
//
//     runtime.mbuckets ─► bucket ─► bucket …   heap, allocs      memory_profile.cc
//     runtime.bbuckets, xbuckets               block, mutex      contention_profile.cc
//     runtime.allgs, and the stacks            goroutine         goroutine_profile.cc
//     runtime.allm                             threadcreate      goroutine_profile.cc
//
// "As it writes them" is meant to the letter: the same events counted, the same frames left out, the same rounding. Where
// releases differ, each is followed. What a core adds is a label: `state`, why a goroutine waits.
//
// Source: Go 1.19 … 1.27 runtime/mprof.go, runtime/pprof/pprof.go, proto.go, protomem.go.
#pragma once

#include "heapwalk/own_profile.h"
#include "heapwalk/runtimes/go/program/pclntab.h"
#include "heapwalk/runtimes/go/program/process.h"

namespace heapwalk::go {

Result<OwnProfile> read_profile(const CoreDump& dump, OwnProfileKind kind, Diagnostics& diagnostics);

// What each of them is made from.
struct ProfileInputs {
  const CoreDump& dump;
  const Process& process;
  const Functions& functions;
};

Result<OwnProfile> read_memory_profile(const ProfileInputs& inputs, bool allocations_first, Diagnostics& diagnostics);
Result<OwnProfile> read_contention_profile(const ProfileInputs& inputs, bool of_mutexes, Diagnostics& diagnostics);
Result<OwnProfile> read_goroutine_profile(const ProfileInputs& inputs, Diagnostics& diagnostics);
Result<OwnProfile> read_thread_profile(const ProfileInputs& inputs, Diagnostics& diagnostics);

// A run-time variable's address, or the error that names it.
Result<Address> find_variable(const ProfileInputs& inputs, std::string_view name);
// How many frames of a stack the run-time keeps.
size_t profile_stack_depth(const ProfileInputs& inputs);

}  // namespace heapwalk::go
