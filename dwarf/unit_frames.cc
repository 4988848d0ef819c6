#include "dwarf/unit_frames.h"

#include <algorithm>

#include "dump/symbols.h"
#include "dwarf/entry_names.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

constexpr auto kGoClosureOffset = static_cast<dw::Attribute>(0x2907);

// Functions may stand in each other: a unit is not walked more often than this, all of them together.
constexpr uint64_t kMaxWalks = 16;

// Functions that the linker dropped stand at 0 or at the end of the address space.
bool is_tombstone(const AddressLists::Range& range) {
  return range.first == 0 || range.second >> 63 != 0;
}

bool is_scope(dw::Tag tag) {
  return tag == dw::DW_TAG_lexical_block || tag == dw::DW_TAG_try_block || tag == dw::DW_TAG_catch_block ||
         tag == dw::DW_TAG_GNU_formal_parameter_pack;
}

// A static: found with the globals.
bool is_fixed(const LocationExpression& location) {
  return location.operations.size() == 1 && location.operations.front().kind == OperationKind::address;
}

std::string function_name(const Die& die) {
  const CompletedEntry completed = complete(die);
  return without_abi_tags(is_mangled(completed.linkage_name) ? demangle(completed.linkage_name)
                                                             : std::string(completed.name));
}

}  // namespace

bool covers_frames(const FrameWish& wish, const DebugSections& sections, const Die& unit_die) {
  if (wish.frames->pcs().empty()) return false;
  const auto ranges = AddressLists(sections, unit_die, wish.effort->list_entries).ranges(unit_die);
  return !ranges || std::ranges::any_of(*ranges, [&](const AddressLists::Range& range) {
    return wish.frames->wants(range.first, range.second);
  });
}

void FrameCollector::visit(const Die& subprogram) {
  const auto ranges = lists_.ranges(subprogram);
  if (!ranges) return;
  if (walked_bytes_ > kMaxWalks * (unit_.getNextUnitOffset() - unit_.getOffset())) {
    ++damage_;
    return;
  }
  Scope function;
  for (const AddressLists::Range& range : *ranges) {
    if (is_tombstone(range)) continue;
    const auto pcs = wish_.frames->pcs();
    for (auto pc = std::ranges::lower_bound(pcs, range.first); pc != pcs.end() && *pc < range.second; ++pc) {
      if (wish_.effort->variables.fetch_add(1) >= kMaxFrameVariables) return;
      function.covered.push_back(found_.size());
      found_.push_back({.pc = *pc, .function = {}, .types = {}});
    }
  }
  if (function.covered.empty()) return;
  for (size_t i : function.covered) {
    auto base = parse(lists_.location_at(subprogram, dw::DW_AT_frame_base, found_[i].pc));
    if (base) found_[i].function.frame_base = *std::move(base);
  }
  std::vector<Scope> scopes = {std::move(function)};
  uint64_t last = subprogram.offset();
  const bool is_whole = walk_entries(subprogram, [&](const Die& die, const std::vector<uint64_t>& around) {
    scopes.resize(std::min(around.size(), scopes.size()));
    last = die.offset();
    if (die.tag() == dw::DW_TAG_variable || die.tag() == dw::DW_TAG_formal_parameter) add_variable(die, scopes.back());
    if (!die.has_children()) return false;
    scopes.push_back(enter(die, scopes.back()));
    return scopes.back().covered.empty();
  });
  walked_bytes_ += last - subprogram.offset();
  damage_ += is_whole ? 0 : 1;
}

// What is inside the entry: nothing of the function's own where it is a type, a call site or another function.
FrameCollector::Scope FrameCollector::enter(const Die& die, const Scope& around) {
  const bool is_inlined = die.tag() == dw::DW_TAG_inlined_subroutine;
  if (around.covered.empty() || (!is_inlined && !is_scope(die.tag()))) return {};
  Scope scope{.covered = {}, .inlined = is_inlined ? std::optional(die) : around.inlined};
  auto ranges = lists_.ranges(die);
  if (!ranges) {
    if (!is_inlined) scope.covered = around.covered;
    return scope;
  }
  for (size_t i : around.covered) {
    const bool is_inside = std::ranges::any_of(*ranges, [&](const AddressLists::Range& range) {
      return found_[i].pc >= range.first && found_[i].pc < range.second;
    });
    if (is_inside) scope.covered.push_back(i);
  }
  return scope;
}

void FrameCollector::add_captured(const Die& die, const Scope& scope, uint64_t offset_bytes) {
  if (scope.covered.empty() || scope.inlined) return;
  EntryKey type = kNoEntry;
  const FrameVariable described = describe(die, scope, type);
  for (size_t i : scope.covered) {
    if (wish_.effort->variables.fetch_add(1) >= kMaxFrameVariables) return;
    found_[i].function.captured.push_back({.name = described.name, .offset_bytes = offset_bytes});
    found_[i].captured_types.push_back(type);
  }
}

void FrameCollector::add_variable(const Die& die, const Scope& scope) {
  if (const auto offset = die.number(kGoClosureOffset)) add_captured(die, scope, *offset);
  if (!die.find(dw::DW_AT_location)) return;
  std::optional<FrameVariable> described;
  EntryKey type = kNoEntry;
  for (size_t i : scope.covered) {
    const Bytes bytes = lists_.location_at(die, dw::DW_AT_location, found_[i].pc);
    if (bytes.empty()) continue;
    auto location = parse(bytes);
    if (!location || is_fixed(*location)) continue;
    if (wish_.effort->variables.fetch_add(1) >= kMaxFrameVariables) return;
    if (!described) described = describe(die, scope, type);
    FrameVariable variable = *described;
    variable.location = *std::move(location);
    found_[i].function.variables.push_back(std::move(variable));
    found_[i].types.push_back(type);
  }
}

std::optional<LocationExpression> FrameCollector::parse(Bytes expression) {
  auto parsed = LocationExpression::parse(expression, [&](uint64_t index) { return lists_.address_at(index); });
  damage_ += parsed ? 0 : 1;
  return parsed;
}

FrameVariable FrameCollector::describe(const Die& die, const Scope& scope, EntryKey& type) {
  const CompletedEntry completed = complete(die);
  FrameVariable variable;
  variable.name = completed.name;
  variable.is_parameter = die.tag() == dw::DW_TAG_formal_parameter;
  if (scope.inlined) variable.function = function_name(*scope.inlined);
  variable.source = files_.text(completed.file_unit, completed.file, completed.line);
  if (completed.typed) type = completed.typed->reference_key(dw::DW_AT_type, signatures_).value_or(kNoEntry);
  return variable;
}

}  // namespace heapwalk
