// The locals and parameters of one unit's functions that frames are in.
//
//     subprogram ─ its ranges hold wanted pcs? ─► a walk over its entries, each scope with the pcs that it covers
//       ├ formal_parameter "req"      location at pc 1, at pc 2 …
//       ├ lexical_block               covers pc 2 only
//       │   └ variable "batch"
//       └ inlined_subroutine          covers neither: skipped
//
// A unit that covers no wanted pc is not asked; in one that does, a function without any costs a look at its ranges.
// Source: DWARF 5 §3.3.8 (inlined functions and their variables), §3.5, §4.1.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dwarf/address_lists.h"
#include "dwarf/debug_entry.h"
#include "dwarf/frame_variables.h"
#include "dwarf/line_files.h"

namespace heapwalk {

// The variables of all pcs together: no sensible program comes near.
constexpr uint64_t kMaxFrameVariables = 2'000'000;

// So far, of all units. Where a limit is exceeded, nothing of what was found is used: what it is depends on who came first.
struct FrameEffort {
  std::atomic<uint64_t> variables = 0;
  std::atomic<uint64_t> list_entries = 0;
  bool is_too_much() const { return variables > kMaxFrameVariables || list_entries > kMaxListEntries; }
};

// What is wanted of the units of a module, by all its readers.
struct FrameWish {
  const FrameVariables* frames = nullptr;  // null: nothing
  bool nothing_else = false;               // of units that cover no wanted pc, nothing is read at all
  FrameEffort* effort = nullptr;
};

struct FoundFunction {
  uint64_t pc = 0;
  FrameFunction function;       // types are not resolved yet
  std::vector<EntryKey> types;  // of its variables
  std::vector<EntryKey> captured_types = {};
};

// A unit, or the skeleton of one, that does not say what it covers may cover anything.
bool covers_frames(const FrameWish& wish, const DebugSections& sections, const Die& unit_die);

class FrameCollector {
 public:
  FrameCollector(const FrameWish& wish, const AddressLists& lists, const LineTable& lines,
                 const SignatureMap& signatures, const llvm::DWARFUnit& unit)
      : wish_(wish), lists_(lists), files_(lines, unit), signatures_(signatures), unit_(unit) {}

  void visit(const Die& subprogram);
  std::vector<FoundFunction> take() { return std::move(found_); }
  uint64_t damage() const { return lists_.damage() + damage_; }

 private:
  struct Scope {
    std::vector<size_t> covered;  // of found_: those whose pc the scope covers
    std::optional<Die> inlined;   // the inlined function around
  };
  Scope enter(const Die& die, const Scope& around);
  void add_variable(const Die& die, const Scope& scope);
  void add_captured(const Die& die, const Scope& scope, uint64_t offset_bytes);
  std::optional<LocationExpression> parse(Bytes expression);
  FrameVariable describe(const Die& die, const Scope& scope, EntryKey& type);

  const FrameWish& wish_;
  AddressLists lists_;
  DeclarationFiles files_;
  const SignatureMap& signatures_;
  const llvm::DWARFUnit& unit_;
  std::vector<FoundFunction> found_;
  uint64_t walked_bytes_ = 0;  // of the functions so far
  uint64_t damage_ = 0;
};

}  // namespace heapwalk
