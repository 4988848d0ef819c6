// Ranges of addresses that one unit's entries cover, and the location that a variable has at one pc.
//
//     DW_AT_low_pc, DW_AT_high_pc                      one range
//     DW_AT_ranges    ─► .debug_ranges, .debug_rnglists     [begin, end) [begin, end) … end of list
//     DW_AT_location  ─► .debug_loc, .debug_loclists        [begin, end) expression   … end of list
//
// DWARF 5 gave both kinds of list the same encoding: a byte says whether addresses are meant as they are, as offsets from a
// base, or as indices into .debug_addr. Before, there are pairs of words; in .dwo files before DWARF 5 GNU's form of the new one.
// In a file of a package (.dwp) offsets count from the unit's own part of the section.
// The lists are the file's to choose, and many entries may name one list: what is read of them is counted by all units together,
// and beyond kMaxListEntries nothing more is read. Whether that happens does not depend on the order of the units.
// Source: DWARF 5 §2.17.3, §2.6.2, §7.7.3, §7.25, §7.29; DWARF 4 §7.7.3; GCC's wiki "DebugFission".
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "dwarf/debug_entry.h"

namespace heapwalk {

// What the lists of a split unit need of its skeleton.
struct SkeletonBases {
  uint64_t base_address = 0;
  uint64_t ranges_base = 0;  // before DWARF 5
};

constexpr uint64_t kMaxListEntries = uint64_t{1} << 28;

class AddressLists {
 public:
  // `bases` of a split unit. All are borrowed.
  AddressLists(const DebugSections& sections, const Die& unit_die, std::atomic<uint64_t>& entries_read,
               const SkeletonBases* bases = nullptr);

  static SkeletonBases bases_of(const Die& skeleton);

  using Range = std::pair<uint64_t, uint64_t>;  // [first, second), link addresses
  // Of a unit, function or block; nullopt: it does not say. What makes no sense is left out.
  std::optional<std::vector<Range>> ranges(const Die& die);
  // The expression that holds at the pc; empty: none does.
  Bytes location_at(const Die& die, llvm::dwarf::Attribute attribute, uint64_t pc);

  std::optional<uint64_t> address_at(uint64_t index) const;  // of .debug_addr
  uint64_t damage() const { return damage_; }

 private:
  struct List {
    Bytes bytes;              // of the unit
    uint64_t table_base = 0;  // where the offsets of lists with an index are, and what they count from
  };
  std::optional<uint64_t> list_offset(const List& list, const llvm::DWARFFormValue& value, llvm::dwarf::Form indexed);
  // visit(begin, end, expression) until it returns false.
  template <class Visit>
  void walk(const List& list, uint64_t offset, bool has_expressions, Visit&& visit);
  template <class Visit>
  bool walk_pairs(ByteReader& reader, bool has_expressions, Visit&& visit);
  template <class Visit>
  bool walk_coded(ByteReader& reader, bool has_expressions, Visit&& visit);
  enum class EntryKind : uint8_t { end_of_list, base, addresses, offsets, skipped };
  struct Entry {
    uint64_t begin = 0, end = 0;
    EntryKind kind = EntryKind::end_of_list;
  };
  std::optional<Entry> read_entry(ByteReader& reader, bool has_expressions);
  const List& location_lists();

  const DebugSections& sections_;
  llvm::DWARFUnit& unit_;
  uint64_t base_address_ = 0;
  uint64_t ranges_base_ = 0;
  List range_lists_;
  std::optional<List> location_lists_;
  uint64_t loclists_base_ = 0;
  std::atomic<uint64_t>& entries_read_;
  uint64_t damage_ = 0;
};

}  // namespace heapwalk
