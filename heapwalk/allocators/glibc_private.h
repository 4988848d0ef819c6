// Words of the C library that are no references of the program, and would keep leaked memory alive:
//
//     _IO_list_all and the _chain (+0x68) of every FILE   a FILE that was lost by its owner is still on stdio's list;
//     _prevchain (+0xb8, newer versions)                  the list's way back, which points into the FILE before
//     proc_file_chain and the next (+0xe8) of every popen the same for popen's FILEs (a local symbol: only where symbols are)
//     main_arena, mp_                                     bins, top: they point to free chunks, and stale ones at times
//     heap_info, malloc_state of thread arenas            the same, inside heaps
//
// Not listed, because they lead to no used block: `tcache` and `thread_arena` in TLS (the structs are metadata), the
// stack lists in ld.so (stacks are no heap blocks). Not listed, because they are real owners: exit handlers, dtv,
// link maps, locale caches, a FILE's buffers and its lock.
// Source: glibc libio/bits/types/struct_FILE.h, libio/libioP.h (struct _IO_FILE_plus: vtable at +0xd8), 2.28 … 2.43.
#pragma once

#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/allocators/glibc_arena.h"
#include "heapwalk/allocators/glibc_heaps.h"

namespace heapwalk::glibc {

struct PrivateWords {
  std::vector<AddressRange> ranges;  // sorted, disjoint
  std::vector<Address> words;        // sorted; inside used allocations
};

PrivateWords find_private_words(const CoreDump& dump, const std::vector<Instance>& instances, const Heaps& heaps,
                                Diagnostics& diagnostics);

}  // namespace heapwalk::glibc
