// The answers, as plain data: what a report prints and a script reads. Writers print these rows and compute nothing.
// Field names follow the JSON keys of the command line's contract.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dump/base/address.h"
#include "heapwalk/retention_graph.h"
#include "heapwalk/root_set.h"

namespace heapwalk {

struct Totals {
  uint64_t used_bytes = 0, used_objects = 0;
  uint64_t reachable_bytes = 0, reachable_objects = 0;
  uint64_t shared_bytes = 0, shared_objects = 0;              // the part of reachable that no single root alone holds
  uint64_t conservative_bytes = 0, conservative_objects = 0;  // … that no exact edges alone reach, but untyped words do
  uint64_t possibly_live_bytes = 0, possibly_live_objects = 0;  // the part of reachable that only tainted words reach
  uint64_t leaked_bytes = 0, leaked_objects = 0;
  uint64_t garbage_bytes = 0, garbage_objects = 0;  // the part of leaked that a collector would free by itself
  uint64_t free_bytes = 0;                          // free chunks and top
  uint64_t cached_bytes = 0, cached_objects = 0;
  uint64_t metadata_bytes = 0, unexplained_bytes = 0;
};

// Where the writable bytes of the process are. The rows sum to the writable mappings, to the byte.
struct MemoryRow {
  std::string kind;  // "heap", "stack", "module", "tls", "unknown"
  std::string name;  // "glibc main arena", "thread 4711", "libc.so.6", "anonymous mapping"
  uint64_t bytes = 0;
  uint64_t resident_in_core_bytes = 0;
};

// An allocator's own books: used + free + cached + metadata + unexplained = owned, to the byte.
struct AllocatorRow {
  std::string name, version, evidence;
  uint64_t owned_bytes = 0;
  uint64_t used_bytes = 0, used_objects = 0;
  uint64_t free_bytes = 0, cached_bytes = 0, cached_objects = 0, metadata_bytes = 0, unexplained_bytes = 0;
};

// One step of a path. The first step of a path is the root and has no address in the heap.
struct PathStep {
  Address address;    // of the object; the root's location for the first step (0 for registers)
  std::string type;   // "Session", or "[48 B]" where nothing is known
  std::string field;  // of the previous node: "+0x18" where no type is known; empty on the first step
  EdgeKind edge = EdgeKind::conservative;
  uint64_t repeat = 1;  // consecutive steps of the same type and field, folded
  uint64_t retained_bytes = 0;
  Address reference = {};  // of the word in the previous node that leads here; 0: the first step, or not known
};

struct RootPath {
  uint64_t count = 1;           // targets that this path stands for
  uint64_t retained_bytes = 0;  // of the target
  std::string root_name, root_kind, root_owner, root_source;
  bool names_owner = false;  // the root's name says who owns it: a local's
  std::vector<PathStep> steps;
};

struct SuspectRow {
  std::string
      text;  // a sentence: "`g_sessions` (global, server) retains 61.2 MB in 120,004 allocations, 71 % of the heap"
  std::string kind;  // "global", "stack", "leak", "shared", …
  std::string name, type;
  uint64_t retained_bytes = 0, retained_objects = 0;
  std::vector<PathStep> path;
};

struct RootRow {
  std::string name, kind, owner, type, source;
  uint64_t retained_bytes = 0, retained_objects = 0;
};

struct OwnerRow {
  std::string name, kind;
  uint64_t retained_bytes = 0, retained_objects = 0;
};

struct TypeRow {
  std::string name;
  uint64_t count = 0, bytes = 0, retained_bytes = 0;
};

// Containers of one type in one place ("Session.events"), and the memory that they own but do not use.
struct ContainerRow {
  std::string type, holder;
  uint64_t count = 0;     // containers
  uint64_t elements = 0;  // in use in all of them; a string's characters, if it has memory of its own
  uint64_t unused_bytes = 0;
  uint64_t empty_with_memory = 0;  // containers without elements that have memory of their own nevertheless
};

// Owners that wait for what nobody else can reach: leaked goroutines, by the place that created them and what they do.
struct StuckRow {
  std::string name, state;
  uint64_t count = 0;
  uint64_t retained_bytes = 0;
};

// What the run-time's samples tell of one place in the program and one holder.
struct SiteRow {
  std::string function, file;  // the innermost that is not the run-time's own
  uint64_t line = 0;
  std::string holder;  // holders.h
  uint64_t estimated_bytes = 0, estimated_objects = 0;
  uint64_t samples = 0;

  // "main.fill cache.go:42"
  std::string site() const {
    if (file.empty()) return function;
    return function + " " + file.substr(file.rfind('/') + 1) + ":" + std::to_string(line);
  }
};

struct LeakRow {
  std::string type;      // of the leak roots
  uint64_t roots = 0;    // source components of this type and shape
  uint64_t objects = 0;  // retained by them
  uint64_t bytes = 0;
  Address example;          // address of one leak root
  bool is_garbage = false;  // a collector manages it: not collected yet, no leak
};

struct EvidenceBytes {  // used bytes by evidence class of their type
  uint64_t runtime = 0, container = 0, pointer = 0, field = 0, none = 0;
};

struct StageRow {
  std::string name;
  double seconds = 0;
  uint64_t peak_rss_bytes = 0;
};

}  // namespace heapwalk
