// From the few places whose types are known to all they lead to.
//
//     variables with types ─┐
//                           ├─► queue of typed objects ─► their typed pointers ─► claims about what these lead to ─┐
//     objects with vtables ─┘            ▲                                                                         │
//                                        └──────────────── claims better than what was known ──────────────────────┘
//
// A claim is made only about the start of an allocation, and only when its size fits a value, or an array of values, of
// the pointer's target. Claims have strengths; a stronger one replaces a weaker one and the object's pointers are followed
// once more, so an object is visited at most once per strength. Claims of equal strength: the first one stays, and the
// conflict is counted. The order does not depend on the number of threads.
//
// Weak claims must not spread nonsense, so what is no container's own word has to look like what it claims to be: its
// pointers null or pointing to mapped memory.
#pragma once

#include <memory>

#include "dump/base/diagnostics.h"
#include "dump/core_dump.h"
#include "heapwalk/managed_heap.h"
#include "heapwalk/root_set.h"
#include "heapwalk/types/object_types.h"
#include "heapwalk/types/runtime_types.h"

namespace heapwalk {

// `known`: by run-times, each for the objects of its own; they are the last word on all of the managed heap.
std::unique_ptr<const ObjectTypes> infer_types(const CoreDump& dump, const ObjectIndex& objects, const RootSet& roots,
                                               TypeTable types, std::span<const RuntimeTypes> known,
                                               const ManagedHeap& managed, size_t threads, Diagnostics& diagnostics);

}  // namespace heapwalk
