// The debug info's variables of each module, read when first asked for: most modules hold no reference to the heap.
#pragma once

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "dump/core_dump.h"
#include "dwarf/type_reader.h"
#include "heapwalk/root_set.h"

namespace heapwalk {

class ModuleVariables {
 public:
  // The modules' types are added to `types`.
  ModuleVariables(CoreOptions options, size_t threads, TypeTableBuilder& types, Diagnostics& diagnostics)
      : options_(std::move(options)), threads_(threads), types_(&types), diagnostics_(&diagnostics) {}

  const VariableTable& of(const Module& module) {
    auto [at, is_new] = tables_.try_emplace(&module);
    if (is_new) at->second = read_debug_info(module, threads_, *types_, *diagnostics_, options_);
    return at->second;
  }

  // The variables of record types of the modules that were asked for, by address.
  std::vector<TypedVariable> typed() const {
    std::vector<TypedVariable> typed;
    const TypeTable& types = types_->table();
    for (const auto& [module, table] : tables_) {
      for (const Variable& variable : table.all()) {
        TypeId element = variable.type;
        while (element != kNoType && types[element].kind == TypeKind::array) element = types[element].target;
        if (element == kNoType || types[element].kind != TypeKind::record) continue;
        typed.push_back({variable.address, variable.type});
      }
    }
    std::ranges::sort(typed, {}, &TypedVariable::address);
    return typed;
  }

 private:
  CoreOptions options_;
  size_t threads_;
  TypeTableBuilder* types_;
  Diagnostics* diagnostics_;
  std::map<const Module*, VariableTable> tables_;
};

}  // namespace heapwalk
