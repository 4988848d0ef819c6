// A Go program found in a core: its release, its modules, and where the run-time's own variables are.
//
//     .go.buildinfo / runtime.buildVersion ─► release ─► Layout
//     runtime.firstmoduledata, or the word that points to the line table ─► ModuleData …
//     symbols, or a search for structures that hold together ─► mheap_, allgs, allm …
//
// Symbols are asked first. A stripped program (`-s -w`) has none: the line table still names functions, and the run-time's
// variables are found by what they must look like, and by the code that refers to them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/diagnostics.h"
#include "dump/core_dump.h"
#include "heapwalk/runtimes/go/program/layout.h"
#include "heapwalk/runtimes/go/program/module_data.h"

namespace heapwalk::go {

// Variables of the run-time by their Go names ("runtime.allgs").
class FoundVariables {
 public:
  void add(std::string_view name, Address at) { variables_.emplace_back(name, at); }
  std::optional<Address> find(std::string_view name) const;
  std::span<const std::pair<std::string, Address>> all() const { return variables_; }

 private:
  std::vector<std::pair<std::string, Address>> variables_;
};

struct Process {
  const Module* module = nullptr;  // the ELF image that holds the run-time
  std::string version;             // "go1.26.8"
  Layout layout;
  std::vector<ModuleData> modules;  // the program's first
  Address mheap;                    // runtime.mheap_
  bool has_symbols = false;

  // A run-time variable by its Go name; null when neither symbols nor the search found it.
  std::optional<Address> variable(std::string_view name) const;

  const ModuleData* module_of_text(Address pc) const;
  const ModuleData* module_of_type(Address type) const;

  FoundVariables found;  // by search, in programs without symbols (variable_search.h)
};

// Null when there is no Go run-time in the process. What was recognised but could not be read is a diagnostic.
std::optional<Process> find_process(const CoreDump& dump, Diagnostics& diagnostics);

}  // namespace heapwalk::go
