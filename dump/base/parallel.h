// The one place where threads start.
//
// parallel_for(count, threads, body) calls body(i) once for every i in [0, count) and returns when all are done.
// Indices are handed out in order, one at a time, so uneven pieces balance by themselves; body(i) writes only to slot
// i of a result that the caller sized beforehand, and the caller joins the slots in index order. That makes every
// output byte-identical for any number of threads. With one thread, or one piece, no thread is started.
// The body must not throw.
#pragma once

#include <cstddef>
#include <functional>

namespace heapwalk {

// The number of CPUs this process may run on (its affinity mask), at least 1.
size_t available_cpus();

void parallel_for(size_t count, size_t threads, const std::function<void(size_t)>& body);

}  // namespace heapwalk
