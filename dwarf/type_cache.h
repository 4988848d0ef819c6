// What the debug info of large modules said, kept in the user's cache directory: one file per build id.
//
//     module ─► key: this program, files, layout ─► DIR/BUILD-ID.types has it?  yes ─► types, variables ─┐
//                                                          no ─► read_debug_info() into a table of its own ─┴► TypeMerger
//                                                                        └─► temporary file ─► renamed
//
// The key says, in words, all that the outcome depends on: each file involved with its size and modification time (the
// alternate file and .dwo files too), where the module's segments lie, and which build of heapwalk read it. Where the key
// differs, what is kept is of no use and is replaced. Only what was read without loss is kept. Files appear whole or not at
// all, so any number of processes may read and write; when they grow beyond a bound, those go first that were not used for
// longest. Whatever fails here (no directory, a full disk) costs time and nothing else.
//
// A module below kCachedDebugBytes is read in less time than it takes to care: measured, 20 ms of CPU per MB of compressed
// debug info, against 1 ms to look up a file. With the cache or without, a larger one's types take the same way into the
// table of the process, so that the outcome is the same to the byte.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/diagnostics.h"
#include "dump/core_options.h"
#include "dump/mapped_file.h"
#include "dump/module.h"
#include "dwarf/frame_variables.h"
#include "dwarf/type_file.h"
#include "dwarf/type_table.h"
#include "dwarf/variables.h"

namespace heapwalk {

constexpr uint64_t kCachedDebugBytes = 4 << 20;  // of .debug_* sections, as they are in the file

// As read_debug_info() does, with the cache in options.cache_dir; none when that is empty. Frames are of this core alone:
// the units that cover them are read on top of the types, wherever those come from.
VariableTable read_debug_info_cached(const Module& module, size_t threads, TypeTableBuilder& types,
                                     Diagnostics& diagnostics, const CoreOptions& options,
                                     FrameVariables* frames = nullptr);

struct StoredTypes {
  std::shared_ptr<const MappedFile> file;  // where the names are
  ModuleTypes types;
};

class TypeCache {
 public:
  static constexpr uint64_t kMaxBytes = uint64_t{2} << 30;
  explicit TypeCache(std::string directory, uint64_t max_bytes = kMaxBytes)
      : directory_(std::move(directory)), max_bytes_(max_bytes) {}

  // `key` is all but the files that are only known once the debug info is read: those are checked too.
  std::optional<StoredTypes> load(const std::string& build_id, std::string_view key) const;
  void store(const std::string& build_id, std::string_view key, std::span<const std::string> files,
             const ModuleTypes& types) const;

 private:
  std::string path_of(const std::string& build_id) const;
  void remove_oldest() const;

  std::string directory_;
  uint64_t max_bytes_;
};

}  // namespace heapwalk
