// Who waits for ever: owners that only what they themselves hold could wake.
//
//     roots ─► … ─► everything that whoever runs can reach
//                          │ a channel among it
//                          ▼
//                   who waits for it may run: its frames are roots too ─► … until nothing new is reached
//
// Who was never reached is stuck: a goroutine that receives from a channel that nobody can send to or close. The lists in which
// the run-time keeps those who wait (RootSet::wait_records) do not count: by them, everybody would be reached.
// Source: the idea of Go 1.26's goroutine leak profile, runtime/mgc.go (findGoroutineLeaks); here for all releases.
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/object_index.h"
#include "heapwalk/retention_graph.h"
#include "heapwalk/root_set.h"

namespace heapwalk {

// The owners among roots.waiting that are stuck, ascending. O(nodes + edges); nothing to do where nobody waits.
std::vector<uint32_t> find_stuck_owners(const RetentionGraph& graph, const ObjectIndex& objects, const RootSet& roots);

}  // namespace heapwalk
