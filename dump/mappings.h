// The process's mappings, as /proc/PID/maps would have listed them: the program headers of the core joined with the
// paths of its file table.
//
//     PT_LOAD    [ r-- 4 KB of 40 ][ r-x 0 of 200 ][ rw- 12 of 12 ][ rw- 132 of 132 ]
//     NT_FILE    [ libfoo.so +0   ][ libfoo.so +40 ][ libfoo.so +… ]
//
// The kernel writes one PT_LOAD per mapping. gcore leaves unmodified file mappings out of the program headers, so the
// file table alone knows them: they are readable, and executable where a module's segment says so. A core without a
// file table takes the paths from the modules' segments.
#pragma once

#include <span>
#include <vector>

#include "dump/core_dump.h"
#include "dump/core_file.h"
#include "dump/module_list.h"

namespace heapwalk {

// Sorted by address, disjoint: where program headers overlap, the one that begins first keeps the shared part.
std::vector<Mapping> make_mappings(std::span<const CoreSegment> segments, std::span<const FileMapping> files,
                                   std::span<const Module> modules);

}  // namespace heapwalk
