// Reads what a module's debug info says about types and variables, in one pass over its units.
//
//     units ─ a batch ─► workers: entry by entry ─► UnitTypes, variables ─► joined in unit order ─► builder, VariableTable
//        ▲                  (the builder stands still)                          (one thread)          │
//        └──────────────── the next batch knows what this one defined ◄────────────────────────────────┘
//
// A batch is bounded in bytes, not by threads, so memory stays small and the outcome is the same for any number of threads.
// Split units (dwarf/split_units.h) come after the module's own: those of its package, then .dwo files, in batches likewise.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "dump/base/diagnostics.h"
#include "dump/core_options.h"
#include "dump/module.h"
#include "dwarf/frame_variables.h"
#include "dwarf/type_table.h"
#include "dwarf/variables.h"

namespace heapwalk {

// Adds the module's types to `types` and returns its variables, with types. Empty when the module has no debug info. Damage
// is a diagnostic ("damaged_debug_info"), and so are .dwo files that are missing ("split_debug_info") or of another build
// ("debug_file_mismatch"); everything else is still read. `options` say where files are looked for.
// `frames` gets the variables of the functions at the pcs that it was made of; `files` the paths of those files that were
// read besides the module's own.
VariableTable read_debug_info(const Module& module, size_t threads, TypeTableBuilder& types, Diagnostics& diagnostics,
                              const CoreOptions& options = {}, FrameVariables* frames = nullptr,
                              std::vector<std::string>* files = nullptr);

// Only `frames`: units that cover none of its pcs are not read. What their types refer to is known to `types`, or is added.
void read_frame_variables(const Module& module, size_t threads, TypeTableBuilder& types, Diagnostics& diagnostics,
                          const CoreOptions& options, FrameVariables& frames);

}  // namespace heapwalk
