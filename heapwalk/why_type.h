// Why the objects of a type are still there: the shortest paths to all of them, merged.
//
//     g_server → Server → Node ×250,000 → Session      60,000 objects, 23.04 MB
//     #4 handle_request → Session                           3 objects,   1.15 kB
//
// Two objects share a line when their paths begin at the same root and run through the same types, a type that comes back on a path
// counting as the run it already made (stack_trie.h). So the line of an object follows from its parent's line and its own
// type, and one pass along the order of the search finds all of them: no path is walked but those that are printed.
//
// A line shows its longest path, which tells how long the runs are; one that does not fold gives way to the shortest.
// Fields are those of the path that is shown.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heapwalk/analysis.h"
#include "heapwalk/why.h"

namespace heapwalk {

struct MergedPath {
  RootPath path;       // its count: the objects of this line; its retained bytes: theirs
  uint64_t bytes = 0;  // shallow
};

struct WhyTypeAnswer {
  std::string type;
  uint64_t targets = 0, bytes = 0;  // used objects of the type
  uint64_t retained_bytes = 0;      // of those that no other one of them dominates: nothing counts twice
  uint64_t leaked_objects = 0, leaked_bytes = 0;
  uint64_t garbage_objects = 0;                     // of those: a collector would free them
  uint64_t avoided_objects = 0, avoided_bytes = 0;  // no root reaches them but through what is to be avoided
  uint64_t path_count = 0;                          // lines, also those not in `paths`
  std::vector<MergedPath> paths;                    // most bytes first
};

// `type` is the full name of a type, as other commands print it.
WhyTypeAnswer explain_type(const Analysis& analysis, std::string_view type, const WhyOptions& options);

}  // namespace heapwalk
