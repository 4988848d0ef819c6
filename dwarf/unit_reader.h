// The units of one file, each read by itself: its types and its variables, or where they are instead.
//
//     DebugSections ─► one context per worker ─► unit i ─► entry by entry ─► UnitContent
//
// Units are numbered alike in all contexts. Reading one changes nothing that another worker sees.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "dump/module.h"
#include "dwarf/debug_entry.h"
#include "dwarf/split_units.h"
#include "dwarf/unit_frames.h"
#include "dwarf/unit_types.h"
#include "dwarf/unit_variables.h"

namespace heapwalk {

struct UnitContent {
  UnitTypes types;
  std::vector<FoundVariable> variables;
  std::vector<FoundFunction> functions;  // that frames are in
  std::optional<Skeleton> skeleton;      // the unit is one: its entries are in another file
  std::optional<uint64_t> split_id;      // of a split unit
  std::vector<EntryKey> imports;         // units of the alternate file that belong to this one
  std::string_view directory;            // that it was compiled in; empty when it does not say
};

class UnitReader {
 public:
  // Of the types in `known`, only names and sizes are read. It does not change while units are read.
  UnitReader(const Module& module, const DebugSections& sections, const TypeTableBuilder& known, size_t threads);
  // The units of a .dwo or .dwp file that belong to the skeletons; others say nothing.
  UnitReader(const Module& module, const DebugSections& sections, const TypeTableBuilder& known, size_t threads,
             std::span<const Skeleton> skeletons);

  void want(const FrameWish& wish) { wish_ = wish; }

  size_t count() const { return begins_.size(); }
  uint64_t size_bytes(size_t i) const;
  const DebugSections& sections() const { return sections_; }
  std::vector<UnitContent> read(size_t begin, size_t end) const;
  std::vector<UnitContent> read(std::span<const size_t> units) const;
  // The unit that an entry lies in, or would if it is there at all.
  std::optional<size_t> find(EntryKey key) const;
  // The types of the unit that an entry lies in; nullopt when none does.
  std::optional<UnitTypes> read_types_at(EntryKey key) const;
  bool is_damaged() const;  // something that was looked at

 private:
  llvm::DWARFUnit& unit(size_t worker, size_t i) const;
  UnitContent read_unit(llvm::DWARFUnit& unit, bool with_frames) const;
  void read_entries(const Die& unit_die, const LineTable& lines, FrameCollector* frames, UnitContent& content) const;

  const Module& module_;
  const DebugSections& sections_;
  const TypeTableBuilder& known_;
  size_t threads_;
  FrameWish wish_;
  std::vector<uint64_t> warnings_;  // of LLVM, by worker
  mutable std::atomic<bool> has_unreadable_units_ = false;
  std::vector<std::unique_ptr<llvm::DWARFContext>> contexts_;
  std::vector<EntryKey> begins_;  // of the units
  SignatureMap signatures_;
  std::unordered_map<uint64_t, const Skeleton*> skeletons_;  // by id
};

}  // namespace heapwalk
