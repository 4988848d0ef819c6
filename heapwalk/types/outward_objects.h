// Objects of a managed heap that lead out of it: to blocks of malloc, which their pointers then type.
//
//     Go: *handler { session *C.struct_session; … } ──► 40 bytes of malloc's: a main._Ctype_struct_session
//
// All else that the objects of such a heap lead to, their run-time has typed.
#pragma once

#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/managed_heap.h"
#include "heapwalk/types/object_types.h"

namespace heapwalk {

struct OutwardObject {
  uint32_t object = 0;  // an ObjectId
  Address start;
};

// Those with typed pointers, by address; none in a process without other heaps.
std::vector<OutwardObject> find_outward_objects(const CoreDump& dump, const ObjectIndex& objects,
                                                const ObjectTypes& types, const ManagedHeap& managed, size_t threads);

}  // namespace heapwalk
