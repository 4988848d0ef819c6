// The debug info's variables of each module, read when first asked for: most modules hold no reference to the heap.
// With them come those of the functions that frames are in.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "dump/core_dump.h"
#include "dwarf/type_reader.h"

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
      result.variables = read_debug_info(module, threads_, *types_, *diagnostics_, options_, &result.frames);
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
