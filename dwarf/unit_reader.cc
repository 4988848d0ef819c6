#include "dwarf/unit_reader.h"

#include <algorithm>
#include <numeric>

#include "dump/base/parallel.h"
#include "dwarf/entry_names.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

constexpr uint64_t kBytesPerWorker = 1 << 20;

}  // namespace

UnitReader::UnitReader(const Module& module, const DebugSections& sections, const TypeTableBuilder& known,
                       size_t threads)
    : module_(module), sections_(sections), known_(known), threads_(threads) {
  const size_t workers = std::clamp<size_t>(sections.unit_bytes() / kBytesPerWorker, 1, std::max<size_t>(threads, 1));
  warnings_.resize(workers);
  contexts_.resize(workers);
  parallel_for(workers, threads, [&](size_t i) {
    contexts_[i] = sections.make_context(warnings_[i]);
    sections.units(*contexts_[i]);
  });
  const llvm::DWARFUnitVector& units = sections.units(*contexts_[0]);
  for (const auto& each : units) begins_.push_back(key_of(*each, each->getOffset()));
  signatures_ = read_signatures(units);
}

UnitReader::UnitReader(const Module& module, const DebugSections& sections, const TypeTableBuilder& known,
                       size_t threads, std::span<const Skeleton> skeletons)
    : UnitReader(module, sections, known, threads) {
  for (const Skeleton& skeleton : skeletons) skeletons_.try_emplace(skeleton.id, &skeleton);
}

llvm::DWARFUnit& UnitReader::unit(size_t worker, size_t i) const {
  return *sections_.units(*contexts_[worker])[static_cast<unsigned>(i)];
}

uint64_t UnitReader::size_bytes(size_t i) const {
  const llvm::DWARFUnit& it = unit(0, i);
  return it.getNextUnitOffset() - it.getOffset();
}

std::vector<UnitContent> UnitReader::read(size_t begin, size_t end) const {
  std::vector<size_t> units(end - begin);
  std::iota(units.begin(), units.end(), begin);
  return read(units);
}

std::vector<UnitContent> UnitReader::read(std::span<const size_t> units) const {
  std::vector<UnitContent> contents(units.size());
  std::atomic<size_t> next = 0;
  parallel_for(contexts_.size(), threads_, [&](size_t worker) {
    for (size_t i = next++; i < units.size(); i = next++) contents[i] = read_unit(unit(worker, units[i]), true);
  });
  return contents;
}

std::optional<size_t> UnitReader::find(EntryKey key) const {
  const auto after = std::ranges::upper_bound(begins_, key);
  return after == begins_.begin() ? std::nullopt : std::optional<size_t>(after - begins_.begin() - 1);
}

UnitContent UnitReader::read_unit(llvm::DWARFUnit& unit, bool with_frames) const {
  UnitContent content;
  Die unit_die;
  if (!open_unit(unit, unit_die)) {
    if (sections_.is_split()) has_unreadable_units_ = true;
    return content;
  }
  LineTable lines = LineTable::of(sections_, unit_die);
  content.directory = lines.compilation_directory;
  const SkeletonBases* bases = nullptr;
  with_frames = with_frames && wish_.frames != nullptr && !unit.isTypeUnit();
  if (!sections_.is_split()) {
    const bool is_covering =
        with_frames && unit_die.tag() != dw::DW_TAG_partial_unit && covers_frames(wish_, sections_, unit_die);
    if (with_frames && wish_.nothing_else && !is_covering) return content;
    with_frames = is_covering;
    content.skeleton = read_skeleton(sections_, unit_die);
    if (content.skeleton) {
      content.skeleton->has_frames = is_covering;
      return content;
    }
  } else if (!unit.isTypeUnit()) {
    auto id = unit.getDWOId();
    auto skeleton = id ? skeletons_.find(*id) : skeletons_.end();
    if (skeleton == skeletons_.end()) return content;
    content.split_id = id;
    lines = skeleton->second->lines;
    bases = &skeleton->second->bases;
    with_frames = with_frames && skeleton->second->has_frames;
    if (auto base = skeleton->second->address_base) {
      unit.setAddrOffsetSection(&unit.getContext().getDWARFObj().getAddrSection(), *base);
    }
  }
  std::optional<FrameCollector> frames;
  if (with_frames)
    frames.emplace(wish_, AddressLists(sections_, unit_die, wish_.effort->list_entries, bases), lines, signatures_,
                   unit);
  read_entries(unit_die, lines, frames ? &*frames : nullptr, content);
  if (frames) {
    content.types.damage += frames->damage();
    content.functions = frames->take();
  }
  return content;
}

void UnitReader::read_entries(const Die& unit_die, const LineTable& lines, FrameCollector* frames,
                              UnitContent& content) const {
  const bool skips_bodies = is_c_family(unit_die.number(dw::DW_AT_language).value_or(0));
  TypeCollector types(known_, signatures_, lines, unit_die);
  VariableCollector variables(module_, lines, signatures_, unit_die);
  const bool is_whole = walk_entries(unit_die, [&](const Die& die, const std::vector<uint64_t>& scopes) {
    if (die.tag() == dw::DW_TAG_variable) variables.visit(die, scopes);
    if (die.tag() == dw::DW_TAG_imported_unit) {
      const EntryKey imported = die.reference_key(dw::DW_AT_import, signatures_).value_or(kNoEntry);
      if ((imported & kInAlternateFile) != 0) content.imports.push_back(imported);
    }
    if (frames != nullptr && die.tag() == dw::DW_TAG_subprogram && die.has_children()) frames->visit(die);
    return types.visit(die, scopes) && skips_bodies;
  });
  content.types = std::move(types).finish();
  content.types.damage += is_whole ? 0 : 1;
  content.variables = std::move(variables).finish();
}

std::optional<UnitTypes> UnitReader::read_types_at(EntryKey key) const {
  const auto at = find(key);
  if (!at) return std::nullopt;
  UnitContent content = read_unit(unit(0, *at), false);
  if (key >= content.types.end) return std::nullopt;
  return std::move(content.types);
}

bool UnitReader::is_damaged() const {
  return has_unreadable_units_ || std::ranges::any_of(warnings_, [](uint64_t count) { return count > 0; });
}

}  // namespace heapwalk
