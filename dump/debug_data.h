// ".gnu_debugdata": the symbol table that some distributions leave in stripped files, an xz-compressed ELF file inside
// a section (Fedora's "MiniDebugInfo"; gdb manual, same heading).
#pragma once

#include <cstddef>
#include <vector>

#include "dump/base/byte_reader.h"
#include "dump/base/result.h"

namespace heapwalk {

// Expands one xz stream. Errors: not xz, damaged, or more than `max_bytes` (a hostile stream expands ten-thousandfold).
Result<std::vector<std::byte>> expand_xz(Bytes compressed, size_t max_bytes);

}  // namespace heapwalk
