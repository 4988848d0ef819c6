// Compressed core files: `.zst`, `.lz4`, `.xz`, `.gz` and `.bz2`, told by their first bytes, not by their name.
//
// A compressed stream cannot be entered in the middle, so it is unpacked once, into a temporary file that has no name
// (it disappears with the process, whatever happens) in $TMPDIR, or /tmp. Pages of zeros are not written: a core is
// mostly sparse, and so is the file. The formats are archive_stream's.
#pragma once

#include <memory>
#include <string>

#include "dump/base/byte_reader.h"
#include "dump/base/diagnostics.h"
#include "dump/base/result.h"
#include "dump/mapped_file.h"

namespace heapwalk {

// Does the file begin like a compressed stream?
bool is_compressed(Bytes file);

// Unpacks a stream. One that is damaged, cut off, or too large for the temporary directory keeps what came out before,
// with a diagnostic "truncated_core". Errors: nothing came out, or there is no place for a temporary file.
Result<std::shared_ptr<const MappedFile>> decompress(const std::string& path, Bytes compressed,
                                                     Diagnostics& diagnostics);

}  // namespace heapwalk
