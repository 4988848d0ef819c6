// The file names of one unit's line table, without its lines.
//
// A declaration says "file 3, line 12", and only the header of the line number program says which file is number 3.
// Source: DWARF 5 §6.2.4; DWARF 2–4 §6.2.4.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dwarf/debug_entry.h"

namespace heapwalk {

// Where a unit's line table is: of a split unit, in the file that it was split from.
struct LineTable {
  const DebugSections* sections = nullptr;
  std::optional<uint64_t> offset = std::nullopt;  // in .debug_line
  std::string_view compilation_directory = {};

  static LineTable of(const DebugSections& sections, const Die& unit_die);
};

// Relative to the directory where the file lies below it.
std::string below(std::string_view directory, std::string path);

class LineFiles {
 public:
  // The table at `offset` of .debug_line (the unit's DW_AT_stmt_list). A damaged one yields the files before the damage.
  LineFiles(const DebugSections& sections, uint64_t offset, std::string_view compilation_directory);

  // "src/cache.cc": relative to the compilation directory where the file lies below it. Empty for an unknown index.
  std::string path(uint64_t index) const;

 private:
  struct File {
    std::string_view name;
    uint64_t directory = 0;
  };
  void read_version_5(const DebugSections& sections, class LineReader& reader);
  void read_version_4(class LineReader& reader);

  std::string_view compilation_directory_;
  uint64_t first_index_ = 1;  // of files_; DWARF 5 counts from 0
  std::vector<std::string_view> directories_;
  std::vector<File> files_;
};

// Where things of a unit are declared, by itself or by the units that it refers to. Tables are read when first asked for.
class DeclarationFiles {
 public:
  DeclarationFiles(const LineTable& lines, const llvm::DWARFUnit& unit) : lines_(lines), unit_(unit) {}

  // "src/cache.cc:12", as the file is numbered in `unit`; empty when unknown, as is what a null unit says.
  std::string text(llvm::DWARFUnit* unit, uint64_t file, uint64_t line);

 private:
  LineTable lines_of(llvm::DWARFUnit& unit) const;

  LineTable lines_;
  const llvm::DWARFUnit& unit_;
  std::map<const llvm::DWARFUnit*, LineFiles> files_;
};

}  // namespace heapwalk
