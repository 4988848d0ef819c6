#include "dwarf/debug_info.h"

#include <llvm/ADT/StringMap.h>
#include <llvm/Support/MemoryBuffer.h>

#include "dump/base/byte_reader.h"
#include "dump/base/parallel.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

constexpr uint64_t kMaxUnits = 4'000'000;

// What variables and types are made of; frame and line tables are read elsewhere or not at all.
constexpr std::string_view kSections[] = {".debug_info",     ".debug_abbrev",      ".debug_str",  ".debug_line_str",
                                          ".debug_line",     ".debug_str_offsets", ".debug_addr", ".debug_types",
                                          ".debug_rnglists", ".debug_ranges"};

// LLVM makes an object of some hundred bytes for each unit header, so that headers of a few bytes each would be a bomb.
bool has_sane_unit_count(Bytes info) {
  ByteReader reader(info);
  for (uint64_t units = 0; reader.remaining() >= 12; ++units) {
    if (units > kMaxUnits) return false;
    uint64_t length = reader.read<uint32_t>().value_or(0);
    if (length == 0xffffffff) length = reader.read<uint64_t>().value_or(0);
    if (!reader.skip(length)) return true;
  }
  return true;
}

}  // namespace

DebugSections DebugSections::load(const Module& module, size_t threads, Diagnostics& diagnostics) {
  DebugSections result;
  const ElfImage* image = module.image.get();
  if (module.debug_image != nullptr && module.debug_image->has_debug_info()) image = module.debug_image.get();
  if (image == nullptr || !image->has_debug_info()) return result;
  result.path_ = image->path();

  std::vector<Result<SectionData>> loaded(std::size(kSections));
  parallel_for(loaded.size(), threads, [&](size_t i) { loaded[i] = image->section_data(kSections[i]); });
  for (size_t i = 0; i < loaded.size(); ++i) {
    if (!loaded[i]) {
      diagnostics.add("damaged_debug_info", loaded[i].error().message);
    } else if (!loaded[i]->bytes.empty()) {
      result.sections_.emplace(kSections[i].substr(1), *std::move(loaded[i]));
    }
  }
  if (!has_sane_unit_count(result.get("debug_info"))) {
    diagnostics.add("damaged_debug_info", fmt::format("{}: .debug_info: more than {} units", result.path_, kMaxUnits));
    result.sections_.clear();
  }
  if (auto shared = image->alternate_debug_link()) {
    diagnostics.add("dwz_debug_info",
                    fmt::format("{}: part of the debug info is in {}, which is not read", result.path_, *shared));
  }
  return result;
}

Bytes DebugSections::get(std::string_view name_without_dot) const {
  auto found = sections_.find(name_without_dot);
  return found == sections_.end() ? Bytes{} : found->second.bytes;
}

std::unique_ptr<llvm::DWARFContext> DebugSections::make_context(uint64_t& damage) const {
  llvm::StringMap<std::unique_ptr<llvm::MemoryBuffer>> buffers;
  for (const auto& [name, data] : sections_) {
    llvm::StringRef text(reinterpret_cast<const char*>(data.bytes.data()), data.bytes.size());
    buffers[name] = llvm::MemoryBuffer::getMemBuffer(text, name, /*RequiresNullTerminator=*/false);
  }
  auto count = [&damage](llvm::Error error) {
    llvm::consumeError(std::move(error));
    ++damage;
  };
  return llvm::DWARFContext::create(buffers, /*AddrSize=*/8, /*isLittleEndian=*/true, count, count);
}

bool Die::read(llvm::DWARFUnit& unit, uint64_t& offset) {
  uint64_t unit_end = unit.getNextUnitOffset();
  if (offset >= unit_end) return false;
  uint64_t at = offset;
  if (!entry_.extractFast(unit, &at, unit.getDebugInfoExtractor(), unit_end, 0) || at <= offset) return false;
  unit_ = &unit;
  end_ = offset = at;
  return true;
}

std::optional<llvm::DWARFFormValue> Die::find(dw::Attribute attribute) const {
  const auto* abbreviation = entry_.getAbbreviationDeclarationPtr();
  if (abbreviation == nullptr) return std::nullopt;
  return abbreviation->getAttributeValue(entry_.getOffset(), attribute, *unit_);
}

std::string_view Die::string(dw::Attribute attribute) const {
  auto value = find(attribute);
  if (!value) return {};
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

namespace {

// References from the start of the unit. (DWARFFormValue's own accessors for this differ between LLVM 16 and later ones.)
bool is_relative(dw::Form form) {
  return form == dw::DW_FORM_ref1 || form == dw::DW_FORM_ref2 || form == dw::DW_FORM_ref4 || form == dw::DW_FORM_ref8 ||
         form == dw::DW_FORM_ref_udata;
}

}  // namespace

std::optional<Die> Die::reference(dw::Attribute attribute) const {
  auto value = find(attribute);
  if (!value) return std::nullopt;
  llvm::DWARFUnit* unit = unit_;
  uint64_t offset = value->getRawUValue();
  if (is_relative(value->getForm())) {
    offset += unit_->getOffset();
  } else if (value->getForm() == dw::DW_FORM_ref_addr) {
    unit = unit_->getContext().getNormalUnitsVector().getUnitForOffset(offset);
  } else {
    return std::nullopt;
  }
  if (unit == nullptr || offset < unit->getOffset() + unit->getHeaderSize()) return std::nullopt;
  Die target;
  if (!target.read(*unit, offset)) return std::nullopt;
  return target;
}

EntryKey key_of(const llvm::DWARFUnit& unit, uint64_t offset) {
  return unit.isTypeUnit() && unit.getVersion() < 5 ? offset | kInTypesSection : offset;
}

SignatureMap read_signatures(llvm::DWARFContext& context) {
  SignatureMap signatures;
  for (const auto& unit : context.getNormalUnitsVector()) {
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
  if (value->getForm() == dw::DW_FORM_ref_addr) return raw & ~kInTypesSection;
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

bool open_unit(llvm::DWARFUnit& unit, Die& unit_die, bool& is_skeleton) {
  is_skeleton = false;
  if (!unit.getUnitDIE(/*ExtractUnitDIEOnly=*/true).isValid()) return false;
  uint64_t offset = unit.getOffset() + unit.getHeaderSize();
  if (!unit_die.read(unit, offset) || unit_die.tag() == dw::DW_TAG_null) return false;
  is_skeleton = unit_die.tag() == dw::DW_TAG_skeleton_unit || unit_die.find(dw::DW_AT_GNU_dwo_name).has_value();
  return !is_skeleton;
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
