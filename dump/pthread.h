// What glibc's struct pthread says about a thread's stack, without a table of versions.
//
// Every thread that pthread_create started has its struct pthread at the top of the block that is its stack:
//
//     block                                                     thread pointer (x86-64)
//     [ guard ][ stack …                      ][ static TLS ][ … list, tid, …, block, size, guard, … ]
//
// The three words {block, size, guard} describe the very memory they lie in, which is enough to recognise them
// wherever a version of glibc puts them. In front of them stand the links of the list that the thread is on and, right
// behind the links, its thread id. The lists are three: stacks in use, stacks that the program supplied, and the
// *cache* of stacks whose threads have ended; their heads are neighbours in the dynamic linker's data. A thread id of
// 0 (the kernel clears it at the end of a thread) marks the dead.
//
// Where libc exports libthread_db's descriptors (`_thread_db_pthread_list` …, since glibc 2.34 even when stripped),
// they give the offset of the links and the size of the structure; otherwise both are found by the same kind of probe.
// Source: glibc nptl/descr.h, nptl/allocatestack.c (2.31), nptl/nptl-stack.c (2.36), nptl_db/structs.def.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dump/arch/arch.h"
#include "dump/core_dump.h"

namespace heapwalk {

struct StackBlock {
  AddressRange range;  // guard included
  uint64_t guard_bytes = 0;
};

struct PthreadLayout {  // from libthread_db's descriptors; nullopt where they are not to be had
  std::optional<uint64_t> size_bytes;
  std::optional<uint64_t> list_offset;
};

PthreadLayout read_pthread_layout(const CoreDump& dump);

// Of a thread that is alive, by its thread pointer. nullopt: the initial thread, or not a thread of glibc.
std::optional<StackBlock> find_stack_block(const CoreDump& dump, const PthreadLayout& layout, Address thread_pointer);

// See CoreDump::dead_stacks.
std::vector<AddressRange> find_dead_stacks(const CoreDump& dump, const PthreadLayout& layout);

}  // namespace heapwalk
