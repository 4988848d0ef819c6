#include "dwarf/debug_entry.h"

#include "dump/base/byte_reader.h"
#include "dwarf/entry_bounds.h"
#include "dwarf/llvm_sections.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

// References from the start of the unit. (DWARFFormValue's own accessors for this differ between LLVM 16 and later ones.)
bool is_relative(dw::Form form) {
  return form == dw::DW_FORM_ref1 || form == dw::DW_FORM_ref2 || form == dw::DW_FORM_ref4 || form == dw::DW_FORM_ref8 ||
         form == dw::DW_FORM_ref_udata;
}

bool is_alternate(dw::Form form) {
  return form == dw::DW_FORM_GNU_ref_alt || form == dw::DW_FORM_ref_sup4 || form == dw::DW_FORM_ref_sup8;
}

}  // namespace

bool Die::read(llvm::DWARFUnit& unit, uint64_t& offset) {
  const auto bounds = measure_entry(unit, offset);
  if (!bounds) return false;
  unit_ = &unit;
  abbreviation_ = bounds->abbreviation;
  offset_ = offset;
  end_ = offset = bounds->end;
  return true;
}

std::optional<llvm::DWARFFormValue> Die::find(dw::Attribute attribute) const {
  return abbreviation_ == nullptr ? std::nullopt : abbreviation_->getAttributeValue(offset_, attribute, *unit_);
}

std::string_view Die::string(dw::Attribute attribute) const {
  auto value = find(attribute);
  if (!value) return {};
  if (value->getForm() == dw::DW_FORM_GNU_strp_alt || value->getForm() == dw::DW_FORM_strp_sup) {
    const DebugSections* alternate = DebugSections::of(*unit_).alternate();
    ByteReader reader(alternate == nullptr ? Bytes{} : alternate->get("debug_str"));
    return reader.seek(value->getRawUValue()) ? reader.read_c_string().value_or("") : std::string_view{};
  }
  auto text = value->getAsCString();
  if (!text) {
    llvm::consumeError(text.takeError());
    return {};
  }
  return *text == nullptr ? std::string_view{} : std::string_view(*text);
}

std::optional<uint64_t> Die::number(dw::Attribute attribute) const {
  auto value = find(attribute);
  if (!value) return std::nullopt;
  if (auto number = value->getAsUnsignedConstant()) return number;
  if (auto number = value->getAsSignedConstant()) return static_cast<uint64_t>(*number);
  return value->getAsSectionOffset();
}

bool Die::flag(dw::Attribute attribute) const {
  auto value = find(attribute);
  return value && value->getRawUValue() != 0;
}

std::optional<Die> Die::reference(dw::Attribute attribute) const {
  auto value = find(attribute);
  if (!value) return std::nullopt;
  llvm::DWARFUnit* unit = unit_;
  uint64_t offset = value->getRawUValue();
  if (is_relative(value->getForm())) {
    offset += unit_->getOffset();
  } else if (value->getForm() == dw::DW_FORM_ref_addr) {
    llvm::DWARFContext& context = unit_->getContext();
    unit = (unit_->isDWOUnit() ? context.getDWOUnitsVector() : context.getNormalUnitsVector()).getUnitForOffset(offset);
  } else if (is_alternate(value->getForm())) {
    llvm::DWARFContext* context = LlvmSections::of(*unit_).alternate_context();
    unit = context == nullptr ? nullptr : context->getNormalUnitsVector().getUnitForOffset(offset);
  } else {
    return std::nullopt;
  }
  if (unit == nullptr || offset < unit->getOffset() + unit->getHeaderSize()) return std::nullopt;
  Die target;
  if (!target.read(*unit, offset)) return std::nullopt;
  return target;
}

EntryKey key_of(const llvm::DWARFUnit& unit, uint64_t offset) {
  if (DebugSections::of(unit).is_alternate()) offset |= kInAlternateFile;
  return unit.isTypeUnit() && unit.getVersion() < 5 ? offset | kInTypesSection : offset;
}

SignatureMap read_signatures(const llvm::DWARFUnitVector& units) {
  SignatureMap signatures;
  for (const auto& unit : units) {
    if (!unit->isTypeUnit()) continue;
    const auto& type_unit = static_cast<const llvm::DWARFTypeUnit&>(*unit);
    signatures.try_emplace(type_unit.getTypeHash(), key_of(*unit, unit->getOffset() + type_unit.getTypeOffset()));
  }
  return signatures;
}

std::optional<EntryKey> Die::reference_key(dw::Attribute attribute, const SignatureMap& signatures) const {
  auto value = find(attribute);
  if (!value) return std::nullopt;
  const uint64_t raw = value->getRawUValue();
  if (is_relative(value->getForm())) {
    bool is_inside = raw >= unit_->getHeaderSize() && raw < unit_->getNextUnitOffset() - unit_->getOffset();
    return is_inside ? std::optional(key_of(*unit_, unit_->getOffset() + raw)) : std::nullopt;
  }
  const EntryKey in_section = raw & ~(kInTypesSection | kInAlternateFile);
  if (value->getForm() == dw::DW_FORM_ref_addr) {
    return DebugSections::of(*unit_).is_alternate() ? in_section | kInAlternateFile : in_section;
  }
  if (is_alternate(value->getForm())) {
    return DebugSections::of(*unit_).alternate() == nullptr ? kNoEntry : in_section | kInAlternateFile;
  }
  if (value->getForm() != dw::DW_FORM_ref_sig8) return std::nullopt;
  auto found = signatures.find(raw);
  return found == signatures.end() ? std::nullopt : std::optional(found->second);
}

std::optional<uint64_t> Die::sibling() const {
  auto value = find(dw::DW_AT_sibling);
  if (!value || !is_relative(value->getForm())) return std::nullopt;
  uint64_t offset = unit_->getOffset() + value->getRawUValue();
  if (offset < end_ || offset >= unit_->getNextUnitOffset()) return std::nullopt;
  return offset;
}

bool open_unit(llvm::DWARFUnit& unit, Die& unit_die) {
  uint64_t offset = unit.getOffset() + unit.getHeaderSize();
  return unit_die.read(unit, offset) && unit_die.tag() != dw::DW_TAG_null &&
         unit.getUnitDIE(/*ExtractUnitDIEOnly=*/true).isValid();
}

std::optional<uint64_t> leave_damaged_scopes(llvm::DWARFUnit& unit, std::vector<uint64_t>& scopes, uint64_t offset) {
  while (!scopes.empty()) {
    uint64_t at = scopes.back();
    scopes.pop_back();
    Die scope;
    auto sibling = scope.read(unit, at) ? scope.sibling() : std::nullopt;
    if (sibling && *sibling > offset) return sibling;
  }
  return std::nullopt;
}

}  // namespace heapwalk
