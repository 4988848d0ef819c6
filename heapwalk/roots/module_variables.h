// The debug info's variables of each module, read when first asked for: most modules hold no reference to the heap.
#pragma once

#include <map>

#include "dump/core_dump.h"
#include "dwarf/variables.h"

namespace heapwalk {

class ModuleVariables {
 public:
  ModuleVariables(size_t threads, Diagnostics& diagnostics) : threads_(threads), diagnostics_(&diagnostics) {}

  const VariableTable& of(const Module& module) {
    auto [at, is_new] = tables_.try_emplace(&module);
    if (is_new) at->second = read_variables(module, threads_, *diagnostics_);
    return at->second;
  }

 private:
  size_t threads_;
  Diagnostics* diagnostics_;
  std::map<const Module*, VariableTable> tables_;
};

}  // namespace heapwalk
