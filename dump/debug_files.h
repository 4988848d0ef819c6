// Where the files that belong to a module lie on this machine.
//
//     by build id   DIR/.build-id/ab/cdef….debug        DIR: --debug-dir, SYSROOT/usr/lib/debug, /usr/lib/debug
//                   CACHE/abcdef…/debuginfo             CACHE: debuginfod's, nothing is downloaded
//     by name       .gnu_debuglink "x.debug" + CRC:     beside the file, in .debug/, below DIR/the file's folder
//     dwz           .gnu_debugaltlink "y.debug" + id:   relative to the file, below DIR/.dwz/, by build id
//     split DWARF   x.dwo, one per unit, or FILE.dwp:   where they were compiled (below --debug-dir, SYSROOT), beside the file
//
// A build id is the proof; a name is only a hint, so a file found by name must have the same build id or, where one of
// the two has none, the CRC that the link states. Split DWARF has ids of its own, which whoever opens the file compares.
// Source: gdb manual, "Separate Debug Files"; debuginfod(8), "$DEBUGINFOD_CACHE_PATH"; dwz(1), DWARF 5 §7.3.6.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/diagnostics.h"
#include "dump/core_options.h"
#include "dump/elf_image.h"

namespace heapwalk {

enum class FileKind { executable, debug };

// The places where a file with the build id would be, best first. Empty for an id that is not plain hex.
std::vector<std::string> build_id_paths(std::string_view build_id, FileKind kind, const CoreOptions& options);

// The separate debug file of a module; null when there is none. `image` is the module's own file and may be null.
std::shared_ptr<const ElfImage> find_debug_file(const std::string& build_id, const ElfImage* image,
                                                const CoreOptions& options, Diagnostics& diagnostics);

// The file that dwz moved into what `image` has in common with others; null when there is none. One with another id is a
// diagnostic ("debug_file_mismatch"), and so is none at all ("dwz_debug_info").
std::shared_ptr<const ElfImage> find_alternate_file(const ElfImage& image, const CoreOptions& options,
                                                    Diagnostics& diagnostics);

// Where the .dwo file would be that `file` names for one of its units, best first. `directory`: the unit's compilation
// directory.
std::vector<std::string> dwo_paths(std::string_view name, std::string_view directory, const std::string& file,
                                   const CoreOptions& options);
// Where the package of all .dwo files of `file` would be, best first.
std::vector<std::string> dwp_paths(const std::string& file, const CoreOptions& options);

}  // namespace heapwalk
