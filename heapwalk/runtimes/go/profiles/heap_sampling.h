// What the allocator samples, and how its samples are shown: common to the heap profile and to the sampled objects themselves.
//
//     runtime.MemProfileRate    one sample per so many bytes allocated, on average; 1: everything; 0 and below: nothing
//
// Source: Go 1.19 … 1.27 runtime/mprof.go (MemProfileRate), runtime/pprof/protomem.go.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapwalk/runtimes/go/profiles/profiles.h"
#include "heapwalk/runtimes/go/profiles/sample_scale.h"
#include "heapwalk/runtimes/go/stacks/call_stacks.h"

namespace heapwalk::go {

// As it is set at the moment of the core, whatever it was when samples were taken: the run-time scales by it, too.
Result<int64_t> read_sampling_rate(const ProfileInputs& inputs);
// Why nothing is sampled at a rate of 0 or below. `wanted`: what there is none of, "heap profile".
Error sampling_is_off(const ProfileInputs& inputs, std::string_view wanted, int64_t rate);

// Of the CPU that the program ran on.
ExpMethod exp_method(const ProfileInputs& inputs);

// The stack of an allocation without the run-time's own frames at the inner end, unless nothing else is there.
std::vector<uint32_t> visible_locations(CallStacks& stacks, std::span<const uint64_t> stack, int release);

}  // namespace heapwalk::go
