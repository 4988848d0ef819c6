// Reads what a module's debug info says about types and variables, in one pass over its units.
//
//     units ─ a batch ─► workers: entry by entry ─► UnitTypes, variables ─► joined in unit order ─► builder, VariableTable
//        ▲                  (the builder stands still)                          (one thread)          │
//        └──────────────── the next batch knows what this one defined ◄────────────────────────────────┘
//
// A batch is bounded in bytes, not by threads, so memory stays small and the outcome is the same for any number of threads.
#pragma once

#include <cstddef>

#include "dump/base/diagnostics.h"
#include "dump/module.h"
#include "dwarf/type_table.h"
#include "dwarf/variables.h"

namespace heapwalk {

// Adds the module's types to `types` and returns its variables, with types. Empty when the module has no debug info. Damage
// is a diagnostic ("damaged_debug_info"); everything else is still read.
VariableTable read_debug_info(const Module& module, size_t threads, TypeTableBuilder& types, Diagnostics& diagnostics);

}  // namespace heapwalk
