// From what was sampled to what there was: the estimate of runtime/pprof, bit by bit.
//
// An allocation of S bytes is sampled with probability 1 − exp(−S/R), R the rate in bytes. For small objects that is the
// difference of two numbers that nearly cancel: an exp() that differs in its last bit makes the totals of a large heap
// differ by a few bytes. So this is the exp() that Go uses on x86-64, after N. Shibata, "Efficient evaluation methods of
// elementary functions suitable for SIMD computation" (ISC'10):
//
//     x = n·ln 2 + r      exp(r) = (1 + e)^16, e = exp(r/16) − 1 by its Taylor series up to r^8
//                         squaring without cancellation: (1 + e)² = 1 + e·(e + 2)
//
// with fused multiply-add or without, as the CPU of the process had it. Elsewhere Go's result is the C library's within
// its last bit. Source: Go 1.19 … 1.27 math/exp_amd64.s, runtime/pprof/protomem.go (scaleHeapSample).
#pragma once

#include <cstdint>
#include <utility>

namespace heapwalk::go {

enum class ExpMethod : uint8_t { fused, plain, library };

// For x in [−700, 700]; smaller is 0, larger infinite.
double go_exp(double x, ExpMethod method);

// Estimates of objects and bytes. `rate` as in runtime.MemProfileRate: up to 1, everything was sampled.
std::pair<int64_t, int64_t> scale_sample(int64_t objects, int64_t bytes, int64_t rate, ExpMethod method);

}  // namespace heapwalk::go
