// The debug info's variables of each module, read when first asked for: most modules hold no reference to the heap.
// With them come those of the functions that frames are in.
#pragma once

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "dump/core_dump.h"
#include "dwarf/type_cache.h"
#include "heapwalk/root_set.h"

namespace heapwalk {

class ModuleVariables {
 public:
  // The modules' types are added to `types`. `pcs`: what the frames of all threads are doing, by module.
  ModuleVariables(CoreOptions options, size_t threads, TypeTableBuilder& types, Diagnostics& diagnostics,
                  std::map<const Module*, std::vector<uint64_t>> pcs)
      : options_(std::move(options)),
        threads_(threads),
        types_(&types),
        diagnostics_(&diagnostics),
        pcs_(std::move(pcs)) {}

  const VariableTable& of(const Module& module) { return read(module).variables; }
  const FrameVariables& frames_of(const Module& module) { return read(module).frames; }

  // The variables of record types of the modules that were asked for, by address.
  std::vector<TypedVariable> typed() const {
    std::vector<TypedVariable> typed;
    const TypeTable& types = types_->table();
    for (const auto& [module, read] : modules_) {
      for (const Variable& variable : read.variables.all()) {
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
  struct Read {
    VariableTable variables;
    FrameVariables frames;
  };
  const Read& read(const Module& module) {
    auto [at, is_new] = modules_.try_emplace(&module);
    if (is_new) {
      Read& result = at->second;
      result.frames = FrameVariables(std::move(pcs_[&module]));
      result.variables = read_debug_info_cached(module, threads_, *types_, *diagnostics_, options_, &result.frames);
    }
    return at->second;
  }

  CoreOptions options_;
  size_t threads_;
  TypeTableBuilder* types_;
  Diagnostics* diagnostics_;
  std::map<const Module*, std::vector<uint64_t>> pcs_;
  std::map<const Module*, Read> modules_;
};

}  // namespace heapwalk
