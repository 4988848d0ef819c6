// The whole analysis of one core: every stage's output, each const once made.
//
//     CoreDump ─► ObjectIndex ─► RootSet ─► RetentionGraph ─► Reachability ─► DominatorTree ─► Summary
//
// analyze() in analysis.cc is the table of contents of the program. Writers get a const Analysis& and print it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/diagnostics.h"
#include "dump/core_dump.h"
#include "heapwalk/allocators/allocator.h"
#include "heapwalk/dominator_tree.h"
#include "heapwalk/object_index.h"
#include "heapwalk/reachability.h"
#include "heapwalk/reference_scan.h"
#include "heapwalk/retention_graph.h"
#include "heapwalk/root_set.h"
#include "heapwalk/runtimes/runtime.h"
#include "heapwalk/summary.h"
#include "heapwalk/types/object_types.h"

namespace heapwalk {

struct AnalysisOptions {
  CoreOptions core;
  size_t threads = 1;
  // Called when a stage begins, with its name; for progress output.
  std::function<void(std::string_view stage)> on_stage;
};

struct Summary {
  Totals totals;
  std::vector<MemoryRow> memory;
  std::vector<AllocatorRow> allocators;
  std::vector<SuspectRow> suspects;      // most retained first
  std::vector<RootRow> roots;            // by retained bytes, descending; all with retained > 0
  std::vector<OwnerRow> owners;          // modules, threads, mappings by retained bytes
  std::vector<TypeRow> types;            // by bytes, descending
  std::vector<LeakRow> leaks;            // by bytes, descending
  std::vector<StuckRow> stuck;           // by retained bytes, then count, descending
  std::vector<ContainerRow> containers;  // by unused bytes, descending
  std::vector<SiteRow> sites;            // by estimated bytes, descending; none where nothing was sampled
  EvidenceBytes evidence;
  uint64_t graph_nodes = 0, graph_edges = 0;
};

struct Analysis {
  std::unique_ptr<const CoreDump> dump;
  std::vector<std::unique_ptr<Runtime>> runtimes;
  std::vector<std::unique_ptr<HeapDecoder>> decoders;
  ObjectIndex objects;
  RootSet roots;
  PrivateMemory private_memory;
  ManagedHeap managed;
  std::unique_ptr<const ObjectTypes> types;
  RetentionGraph graph;
  Reachability reachability;
  DominatorTree dominators;
  Summary summary;
  Diagnostics diagnostics;  // of all stages, the dump's included
  std::vector<StageRow> stages;
};

// Fills in `runtimes` and `decoders` from `dump`: what heaps there are. The first steps of analyze().
void find_allocators(Analysis& analysis);

Result<Analysis> analyze(const std::string& core_path, const AnalysisOptions& options);

}  // namespace heapwalk
