// The file on this machine that a loaded image came from, and the proof that it is the same one.
//
// Proof, best first: the build id in the core equals the file's; neither has one but the program headers are equal; the
// headers are not in the core but the dynamic section is, and every entry of it is the file's. Without proof a file
// is not used, except the user's own BINARY, and that is said.
#pragma once

#include <memory>
#include <string>

#include "dump/base/diagnostics.h"
#include "dump/base/result.h"
#include "dump/elf_image.h"
#include "dump/loaded_images.h"

namespace heapwalk {

enum class FileMatch {
  build_id,
  headers,
  dynamic_section,
  unknown,    // nothing in the core to compare with
  different,  // proved to be another file
};

FileMatch compare_file(const LoadedImage& image, const ElfImage& file, const ModuleInputs& inputs);

// The file, or null when none matched: a diagnostic then says why ("missing_module", "build_id_mismatch").
// Errors: the image is the program, the user named a BINARY, and it is unusable or another file (and not --force).
Result<std::shared_ptr<const ElfImage>> find_module_file(const LoadedImage& image, const ModuleInputs& inputs,
                                                         Diagnostics& diagnostics);

}  // namespace heapwalk
