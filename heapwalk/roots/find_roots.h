// Finds the places outside the heap that refer into it. One file per kind of place:
//
//     module_roots    writable data of every module: .data, .bss, RELRO; by variable, symbol, or section and offset
//     thread_roots    TLS blocks and the thread control block, registers, the stack from the stack pointer up, by frame
//     frame_roots     the locals and parameters among them
//     mapping_roots   unknown writable mappings: a custom arena may hold the pointers
//
// Only places that hold at least one word that points into a used allocation become roots: a process has hundreds of
// thousands of variables, and those that hold nothing of the heap say nothing about it.
#pragma once

#include <span>
#include <vector>

#include "dump/core_dump.h"
#include "dwarf/unwinder.h"
#include "heapwalk/object_index.h"
#include "heapwalk/reference_scan.h"
#include "heapwalk/root_set.h"
#include "heapwalk/roots/module_variables.h"
#include "heapwalk/runtimes/runtime.h"

namespace heapwalk {

struct RootInputs {
  const CoreDump* dump = nullptr;
  const ObjectIndex* objects = nullptr;
  std::span<const AddressRange> heap_ranges;  // what the allocators own; sorted, disjoint
  const PrivateMemory* private_memory = nullptr;
  size_t threads = 1;
  CoreOptions core = {};  // where to look for debug files
  const ManagedHeap* managed =
      nullptr;                        // into this leads only what its collector takes for pointers; null: there is none
  TypeTableBuilder* types = nullptr;  // takes the types that the debug info tells; null: nobody wants them
  std::span<const std::unique_ptr<Runtime>> runtimes = {};
};

RootSet find_roots(const RootInputs& inputs, Diagnostics& diagnostics);

// The three parts; each appends to `set`.
void add_module_roots(const RootInputs& inputs, ModuleVariables& variables, RootSet& set);
class FramePlaces;
void add_thread_roots(const RootInputs& inputs, FramePlaces& places, ModuleVariables& variables, Unwinder* unwinder,
                      RootSet& set, Diagnostics& diagnostics);  // without unwinder: stacks without frames
void add_mapping_roots(const RootInputs& inputs, RootSet& set);

}  // namespace heapwalk
