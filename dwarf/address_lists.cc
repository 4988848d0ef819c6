#include "dwarf/address_lists.h"

#include <algorithm>

#include "dwarf/leb128.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

// DW_RLE_* and DW_LLE_* share their numbers but for these: what is 5 in one list is 6 in the other, and so on.
enum : uint8_t {
  kEndOfList,
  kBaseAddressX,
  kStartXEndX,
  kStartXLength,
  kOffsetPair,
  kDefaultLocation,
  kBaseAddress,
  kStartEnd,
  kStartLength,
  kViewPair
};

// Of the list table that a split unit refers to without saying where it begins: it is the first one.
uint64_t table_header_bytes(const llvm::DWARFUnit& unit) {
  return unit.getFormat() == dw::DWARF64 ? 20 : 12;
}

Bytes part_of_unit(llvm::DWARFUnit& unit, Bytes section, llvm::DWARFSectionKind kind) {
  const llvm::DWARFUnitIndex& packed = unit.getContext().getCUIndex();
  const auto id = packed ? unit.getDWOId() : std::nullopt;
  const auto* entry = id ? packed.getFromHash(*id) : nullptr;
  const auto* part = entry != nullptr ? entry->getContribution(kind) : nullptr;
  if (part == nullptr) return section;
  if (part->getOffset() > section.size()) return {};
  return section.subspan(part->getOffset(), std::min<uint64_t>(part->getLength(), section.size() - part->getOffset()));
}

std::optional<uint64_t> address_of(const Die& die, dw::Attribute attribute) {
  auto value = die.find(attribute);
  return value ? value->getAsAddress() : std::nullopt;
}

}  // namespace

AddressLists::AddressLists(const DebugSections& sections, const Die& unit_die, const SkeletonBases* bases)
    : sections_(sections), unit_(unit_die.unit()) {
  const bool is_new = unit_.getVersion() >= 5;
  entries_left_ = (uint64_t{1} << 20) + 4 * (unit_.getNextUnitOffset() - unit_.getOffset());
  if (sections.is_split()) {
    if (bases != nullptr) {
      base_address_ = bases->base_address;
      ranges_base_ = bases->ranges_base;
    }
    range_lists_ = is_new ? List{part_of_unit(unit_, sections.get("debug_rnglists.dwo"), llvm::DW_SECT_RNGLISTS),
                                 table_header_bytes(unit_)}
                          : List{sections.get("debug_ranges"), 0};
    loclists_base_ = table_header_bytes(unit_);
    return;
  }
  base_address_ = address_of(unit_die, dw::DW_AT_low_pc).value_or(0);
  range_lists_ = {sections.get(is_new ? "debug_rnglists" : "debug_ranges"),
                  unit_die.number(dw::DW_AT_rnglists_base).value_or(0)};
  loclists_base_ = unit_die.number(dw::DW_AT_loclists_base).value_or(0);
}

SkeletonBases AddressLists::bases_of(const Die& skeleton) {
  return {address_of(skeleton, dw::DW_AT_low_pc).value_or(0), skeleton.number(dw::DW_AT_GNU_ranges_base).value_or(0)};
}

const AddressLists::List& AddressLists::location_lists() {
  if (!location_lists_) {
    const bool is_new = unit_.getVersion() >= 5;
    if (!sections_.is_split()) {
      location_lists_ = {sections_.get_late(is_new ? "debug_loclists" : "debug_loc"), loclists_base_};
    } else {
      Bytes whole = sections_.get_late(is_new ? "debug_loclists.dwo" : "debug_loc.dwo");
      auto kind = is_new ? llvm::DW_SECT_LOCLISTS : llvm::DW_SECT_EXT_LOC;
      location_lists_ = {part_of_unit(unit_, whole, kind), loclists_base_};
    }
  }
  return *location_lists_;
}

std::optional<uint64_t> AddressLists::address_at(uint64_t index) const {
  if (index > UINT32_MAX) return std::nullopt;
  auto address = unit_.getAddrOffsetSectionItem(static_cast<uint32_t>(index));
  return address ? std::optional(address->Address) : std::nullopt;
}

std::optional<uint64_t> AddressLists::list_offset(const List& list, const llvm::DWARFFormValue& value,
                                                  dw::Form indexed) {
  const uint64_t raw = value.getRawUValue();
  if (value.getForm() != indexed) return raw;
  ByteReader reader(list.bytes);
  const bool is_wide = unit_.getFormat() == dw::DWARF64;
  if (raw > UINT32_MAX || !reader.seek(list.table_base) || !reader.skip(raw * (is_wide ? 8 : 4))) return std::nullopt;
  auto offset = is_wide ? reader.read<uint64_t>() : std::optional<uint64_t>(reader.read<uint32_t>());
  return offset ? std::optional(list.table_base + *offset) : std::nullopt;
}

std::optional<std::vector<AddressLists::Range>> AddressLists::ranges(const Die& die) {
  std::vector<Range> result;
  auto add = [&](uint64_t begin, uint64_t end) {
    if (begin < end) result.emplace_back(begin, end);
    return true;
  };
  if (auto value = die.find(dw::DW_AT_ranges)) {
    if (auto offset = list_offset(range_lists_, *value, dw::DW_FORM_rnglistx)) {
      const bool is_relative = unit_.getVersion() < 5 && sections_.is_split();
      walk(range_lists_, *offset + (is_relative ? ranges_base_ : 0), false,
           [&](uint64_t begin, uint64_t end, Bytes) { return add(begin, end); });
    } else {
      ++damage_;
    }
    return result;
  }
  auto low = address_of(die, dw::DW_AT_low_pc);
  auto value = die.find(dw::DW_AT_high_pc);
  if (!low || !value) return std::nullopt;
  if (auto length = value->getAsUnsignedConstant()) {
    add(*low, *low + *length);
  } else if (auto high = value->getAsAddress()) {
    add(*low, *high);
  }
  return result;
}

Bytes AddressLists::location_at(const Die& variable, uint64_t pc) {
  auto value = variable.find(dw::DW_AT_location);
  if (!value) return {};
  if (auto block = value->getAsBlock()) return Bytes(reinterpret_cast<const std::byte*>(block->data()), block->size());
  const List& lists = location_lists();
  auto offset = list_offset(lists, *value, dw::DW_FORM_loclistx);
  if (!offset) {
    ++damage_;
    return {};
  }
  Bytes found;
  walk(lists, *offset, true, [&](uint64_t begin, uint64_t end, Bytes expression) {
    if (pc < begin || pc >= end) return true;
    found = expression;
    return false;
  });
  return found;
}

template <class Visit>
void AddressLists::walk(const List& list, uint64_t offset, bool has_expressions, Visit&& visit) {
  ByteReader reader(list.bytes);
  const bool is_coded = unit_.getVersion() >= 5 || (has_expressions && sections_.is_split());
  const bool is_whole = reader.seek(offset) && (is_coded ? walk_coded(reader, has_expressions, visit)
                                                         : walk_pairs(reader, has_expressions, visit));
  if (!is_whole) ++damage_;
}

template <class Visit>
bool AddressLists::walk_pairs(ByteReader& reader, bool has_expressions, Visit&& visit) {
  for (uint64_t base = base_address_; entries_left_ > 0; --entries_left_) {
    auto begin = reader.read<uint64_t>();
    auto end = reader.read<uint64_t>();
    if (!begin || !end) return false;
    if (*begin == 0 && *end == 0) return true;
    if (*begin == UINT64_MAX) {
      base = *end;
      continue;
    }
    auto size = has_expressions ? reader.read<uint16_t>() : 0;
    auto expression = size ? reader.read_bytes(*size) : std::nullopt;
    if (!expression) return false;
    if (!visit(base + *begin, base + *end, *expression)) return true;
  }
  return false;
}

template <class Visit>
bool AddressLists::walk_coded(ByteReader& reader, bool has_expressions, Visit&& visit) {
  for (uint64_t base = base_address_; entries_left_ > 0; --entries_left_) {
    auto entry = read_entry(reader, has_expressions);
    if (!entry) return false;
    if (entry->kind == EntryKind::end_of_list) return true;
    if (entry->kind == EntryKind::skipped) continue;
    if (entry->kind == EntryKind::base) {
      base = entry->begin;
      continue;
    }
    Bytes expression;
    if (has_expressions) {
      auto size = unit_.getVersion() < 5 ? std::optional<uint64_t>(reader.read<uint16_t>()) : read_uleb(reader);
      auto bytes = size ? reader.read_bytes(*size) : std::nullopt;
      if (!bytes) return false;
      expression = *bytes;
    }
    const uint64_t shift = entry->kind == EntryKind::offsets ? base : 0;
    if (!visit(shift + entry->begin, shift + entry->end, expression)) return true;
  }
  return false;
}

std::optional<AddressLists::Entry> AddressLists::read_entry(ByteReader& reader, bool has_expressions) {
  auto code = reader.read<uint8_t>();
  if (!code) return std::nullopt;
  if (!has_expressions && *code >= kDefaultLocation) ++*code;
  const bool is_new = unit_.getVersion() >= 5;
  auto address = [&] { return reader.read<uint64_t>(); };
  auto indexed = [&] {
    auto index = read_uleb(reader);
    return index ? address_at(*index) : std::nullopt;
  };
  auto length = [&] { return is_new ? read_uleb(reader) : std::optional<uint64_t>(reader.read<uint32_t>()); };
  auto range = [](EntryKind kind, std::optional<uint64_t> begin, std::optional<uint64_t> end) {
    return begin && end ? std::optional(Entry{*begin, *end, kind}) : std::nullopt;
  };
  auto sized = [&](std::optional<uint64_t> begin) {
    auto size = length();
    return begin && size ? std::optional(Entry{*begin, *begin + *size, EntryKind::addresses}) : std::nullopt;
  };
  switch (*code) {
    case kEndOfList:
      return Entry{};
    case kBaseAddressX:
      return range(EntryKind::base, indexed(), 0);
    case kStartXEndX: {
      auto begin = indexed();
      return range(EntryKind::addresses, begin, indexed());
    }
    case kStartXLength:
      return sized(indexed());
    case kOffsetPair: {
      auto begin = length();
      return range(EntryKind::offsets, begin, length());
    }
    case kDefaultLocation:
      return Entry{0, UINT64_MAX, EntryKind::addresses};
    case kBaseAddress:
      return range(EntryKind::base, address(), 0);
    case kStartEnd: {
      auto begin = address();
      return range(EntryKind::addresses, begin, address());
    }
    case kStartLength:
      return sized(address());
    case kViewPair: {
      auto begin = read_uleb(reader);
      return range(EntryKind::skipped, begin, read_uleb(reader));
    }
    default:
      return std::nullopt;
  }
}

}  // namespace heapwalk
