// The run-time's own variables in a program without symbols.
//
//     line table ─► functions by name ─► their machine code ─► addresses of variables         code_references.h
//
//     runtime.queuefinalizer ─► { finlock, memstats+…, finc, allfin, finptrmask, fing, … }
//     runtime.markroot       ─► { work+…, allfin, finptrmask, gcController+… }
//                                         └─ both of them, without pointers for the collector: allfin, finptrmask
//                                                └─ one is a list of blocks of finalizers: allfin
//
// Stripping a program removes the names of variables and leaves those of functions, and which variable a function of the
// run-time uses hardly changes from release to release. For each variable a rule names functions that refer to it, or to fields
// of it by their offsets; it is looked for where all of those that the program has agree, in the part of the program's data where
// it must be, and what stands there must be what the variable holds (variable_proofs.h).
//
// Not found beats wrong: where several places are left that differ, or none, the variable stays unknown.
// Source: Go 1.19 … 1.27 runtime/*.go; the references as its compilers emit them for amd64 and arm64.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapwalk/runtimes/go/program/process.h"

namespace heapwalk::go {

struct VariableSearch {
  FoundVariables found;
  // The program's code uses them, and they could not be told. What no code uses the linker left out.
  std::vector<std::string_view> unknown;
  bool has_code = false;  // any of the functions' machine code was there to read
};

// Of `process` are read: the layout, the modules, the heap's address. No symbol is asked.
VariableSearch search_variables(const CoreDump& dump, const Process& process);

}  // namespace heapwalk::go
