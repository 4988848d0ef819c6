// The debug info's variables of each module, read when first asked for: most modules hold no reference to the heap.
#pragma once

#include <map>
#include <utility>

#include "dump/core_dump.h"
#include "dwarf/type_cache.h"

namespace heapwalk {

class ModuleVariables {
 public:
  // The modules' types are added to `types`.
  ModuleVariables(CoreOptions options, size_t threads, TypeTableBuilder& types, Diagnostics& diagnostics)
      : options_(std::move(options)), threads_(threads), types_(&types), diagnostics_(&diagnostics) {}

  const VariableTable& of(const Module& module) {
    auto [at, is_new] = tables_.try_emplace(&module);
    if (is_new) at->second = read_debug_info_cached(module, threads_, *types_, *diagnostics_, options_);
    return at->second;
  }

 private:
  CoreOptions options_;
  size_t threads_;
  TypeTableBuilder* types_;
  Diagnostics* diagnostics_;
  std::map<const Module*, VariableTable> tables_;
};

}  // namespace heapwalk
