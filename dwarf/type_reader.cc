#include "dwarf/type_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <vector>

#include "dump/base/parallel.h"
#include "dwarf/debug_info.h"
#include "dwarf/entry_names.h"
#include "dwarf/type_joiner.h"
#include "dwarf/unit_types.h"
#include "dwarf/unit_variables.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

constexpr uint64_t kBatchBytes = 16 << 20;  // of .debug_info; what is kept of it is about as large
constexpr uint64_t kBytesPerWorker = 1 << 20;

struct UnitContent {
  UnitTypes types;
  std::vector<FoundVariable> variables;
  bool is_skeleton = false;
};

class DebugInfoReader {
 public:
  DebugInfoReader(const Module& module, const DebugSections& sections, size_t threads, TypeTableBuilder& types);
  std::vector<Variable> read();
  void report(Diagnostics& diagnostics) const;

 private:
  llvm::DWARFUnit& unit(size_t worker, size_t i) const {
    return *contexts_[worker]->getNormalUnitsVector()[static_cast<unsigned>(i)];
  }
  size_t end_of_batch(size_t begin) const;
  std::vector<UnitContent> read_batch(size_t begin, size_t end) const;
  UnitContent read_unit(llvm::DWARFUnit& unit) const;
  std::optional<UnitTypes> read_types_at(EntryKey key) const;

  const Module& module_;
  const DebugSections& sections_;
  size_t threads_;
  TypeTableBuilder& types_;
  std::vector<uint64_t> warnings_;  // of LLVM, by worker
  std::vector<std::unique_ptr<llvm::DWARFContext>> contexts_;
  size_t unit_count_ = 0;
  std::vector<EntryKey> begins_;  // of the units
  SignatureMap signatures_;
  uint64_t damage_ = 0;
  uint64_t skeletons_ = 0;
};

// Every worker has a context of its own, and the units of all contexts are numbered alike.
DebugInfoReader::DebugInfoReader(const Module& module, const DebugSections& sections, size_t threads,
                                 TypeTableBuilder& types)
    : module_(module), sections_(sections), threads_(threads), types_(types) {
  const size_t workers =
      std::clamp<size_t>(sections.get("debug_info").size() / kBytesPerWorker, 1, std::max<size_t>(threads, 1));
  warnings_.resize(workers);
  contexts_.resize(workers);
  parallel_for(workers, threads, [&](size_t i) {
    contexts_[i] = sections.make_context(warnings_[i]);
    contexts_[i]->getNormalUnitsVector();
  });
  unit_count_ = contexts_[0]->getNormalUnitsVector().size();
  begins_.resize(unit_count_);
  for (size_t i = 0; i < unit_count_; ++i) begins_[i] = key_of(unit(0, i), unit(0, i).getOffset());
  signatures_ = read_signatures(*contexts_[0]);
}

std::vector<Variable> DebugInfoReader::read() {
  const uint64_t all_bytes = sections_.get("debug_info").size() + sections_.get("debug_types").size();
  TypeJoiner joiner(types_, [this](EntryKey key) { return read_types_at(key); }, 2 * all_bytes);
  std::vector<Variable> variables;
  for (size_t begin = 0, end = 0; begin < unit_count_; begin = end) {
    end = end_of_batch(begin);
    std::vector<UnitContent> batch = read_batch(begin, end);
    for (UnitContent& content : batch) joiner.add(std::move(content.types));
    joiner.add_definitions();
    for (UnitContent& content : batch) {
      skeletons_ += content.is_skeleton ? 1 : 0;
      for (auto& [variable, type] : content.variables) {
        variable.type = joiner.resolve(type);
        if (variable.size_bytes == 0) variable.size_bytes = types_.table().size_bytes(variable.type);
        variables.push_back(std::move(variable));
      }
    }
    joiner.fill_queued();
    joiner.drop_batch();
  }
  damage_ = joiner.damage();
  return variables;
}

size_t DebugInfoReader::end_of_batch(size_t begin) const {
  uint64_t bytes = 0;
  size_t end = begin;
  while (end < unit_count_ && bytes < kBatchBytes) {
    const llvm::DWARFUnit& next = unit(0, end++);
    bytes += next.getNextUnitOffset() - next.getOffset();
  }
  return end;
}

std::vector<UnitContent> DebugInfoReader::read_batch(size_t begin, size_t end) const {
  std::vector<UnitContent> batch(end - begin);
  std::atomic<size_t> next = begin;
  parallel_for(contexts_.size(), threads_, [&](size_t worker) {
    for (size_t i = next++; i < end; i = next++) batch[i - begin] = read_unit(unit(worker, i));
  });
  return batch;
}

UnitContent DebugInfoReader::read_unit(llvm::DWARFUnit& unit) const {
  UnitContent content;
  Die unit_die;
  if (!open_unit(unit, unit_die, content.is_skeleton)) return content;
  const bool skips_bodies = is_c_family(unit_die.number(dw::DW_AT_language).value_or(0));
  TypeCollector types(types_, signatures_, unit_die);
  VariableCollector variables(module_, sections_, signatures_, unit_die);
  const bool is_whole = walk_entries(unit_die, [&](const Die& die, const std::vector<uint64_t>& scopes) {
    if (die.tag() == dw::DW_TAG_variable) variables.visit(die, scopes);
    return types.visit(die, scopes) && skips_bodies;
  });
  content.types = std::move(types).finish();
  content.types.damage += is_whole ? 0 : 1;
  content.variables = std::move(variables).finish();
  return content;
}

std::optional<UnitTypes> DebugInfoReader::read_types_at(EntryKey key) const {
  auto after = std::ranges::upper_bound(begins_, key);
  if (after == begins_.begin()) return std::nullopt;
  UnitContent content = read_unit(unit(0, after - begins_.begin() - 1));
  if (key >= content.types.end) return std::nullopt;
  return std::move(content.types);
}

void DebugInfoReader::report(Diagnostics& diagnostics) const {
  // How often LLVM complains depends on how many contexts looked: that it did is all that counts.
  if (std::ranges::any_of(warnings_, [](uint64_t count) { return count > 0; })) {
    diagnostics.add("damaged_debug_info",
                    fmt::format("{}: part of the debug info cannot be read, its variables have no names, its types are "
                                "unknown",
                                sections_.path()));
  }
  if (damage_ > 0) {
    diagnostics.add(
        "damaged_debug_info",
        fmt::format("{}: types, fields or references in the debug info that make no sense", sections_.path()), damage_);
  }
  if (skeletons_ > 0) {
    diagnostics.add("split_debug_info",
                    fmt::format("{}: units whose debug info is in .dwo files, which are not read", sections_.path()),
                    skeletons_);
  }
}

}  // namespace

VariableTable read_debug_info(const Module& module, size_t threads, TypeTableBuilder& types, Diagnostics& diagnostics) {
  DebugSections sections = DebugSections::load(module, threads, diagnostics);
  if (sections.empty()) return {};
  DebugInfoReader reader(module, sections, threads, types);
  std::vector<Variable> variables = reader.read();
  reader.report(diagnostics);
  return VariableTable(std::move(variables));
}

}  // namespace heapwalk
