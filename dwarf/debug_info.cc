#include "dwarf/debug_info.h"

#include "dump/base/byte_reader.h"
#include "dump/base/parallel.h"
#include "dump/debug_files.h"
#include "dwarf/llvm_sections.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

constexpr uint64_t kMaxUnits = 4'000'000;

// What variables and types are made of; frame and line tables are read elsewhere or not at all.
constexpr std::string_view kSections[] = {".debug_info",     ".debug_abbrev",      ".debug_str",  ".debug_line_str",
                                          ".debug_line",     ".debug_str_offsets", ".debug_addr", ".debug_types",
                                          ".debug_rnglists", ".debug_ranges"};
constexpr std::string_view kSplitSections[] = {".debug_info.dwo",        ".debug_abbrev.dwo", ".debug_str.dwo",
                                               ".debug_str_offsets.dwo", ".debug_types.dwo",  ".debug_rnglists.dwo",
                                               ".debug_cu_index",        ".debug_tu_index"};

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

// A package's index: {version, columns, units, buckets}, per bucket a signature, per bucket a row number from 1 on, then
// the rows. LLVM trusts the numbers (DWARFUnitIndex::parseImpl): buckets are probed until an empty one is met, every row
// must have a bucket. DWARF 5 §7.3.5.3.
bool is_sane_index(Bytes index) {
  ByteReader reader(index);
  reader.skip(4);
  const uint64_t columns = reader.read<uint32_t>().value_or(0), units = reader.read<uint32_t>().value_or(0),
                 buckets = reader.read<uint32_t>().value_or(0);
  if (columns > 16 || (buckets & (buckets - 1)) != 0 || units > kMaxUnits || (buckets != 0 && units >= buckets))
    return false;
  if (reader.remaining() < buckets * 12 + (2 * units + 1) * columns * 4 || !reader.skip(buckets * 8)) return false;
  std::vector<bool> has_bucket(units + 1);
  uint64_t rows = 0;
  for (uint64_t i = 0; i < buckets; ++i) {
    const uint32_t row = reader.read<uint32_t>().value_or(0);
    if (row == 0) continue;
    if (row > units || has_bucket[row]) return false;
    has_bucket[row] = true;
    ++rows;
  }
  return rows == units;
}

// The sections of the name, which object files may have several of (one per type): one after the other.
Result<SectionData> whole_section(const ElfImage& image, std::string_view name) {
  auto joined = std::make_shared<std::vector<std::byte>>();
  SectionData first;
  for (const ElfSection& section : image.sections()) {
    if (section.name != name) continue;
    auto data = image.section_data(section);
    if (!data) return data;
    if (first.bytes.empty()) {
      first = *std::move(data);
      continue;
    }
    if (joined->empty()) joined->assign(first.bytes.begin(), first.bytes.end());
    joined->insert(joined->end(), data->bytes.begin(), data->bytes.end());
  }
  return joined->empty() ? first : SectionData{*joined, joined};
}

}  // namespace

DebugSections DebugSections::load(const Module& module, size_t threads, Diagnostics& diagnostics,
                                  const CoreOptions& options) {
  DebugSections result;
  const ElfImage* image = module.image.get();
  if (module.debug_image != nullptr && module.debug_image->has_debug_info()) image = module.debug_image.get();
  if (image == nullptr || !image->has_debug_info()) return result;
  result.load_sections(*image, threads, diagnostics);
  if (auto shared = find_alternate_file(*image, options, diagnostics)) {
    auto alternate = std::make_shared<DebugSections>();
    alternate->is_alternate_ = true;
    alternate->load_sections(*shared, threads, diagnostics);
    alternate->owner_ = std::move(shared);
    result.alternate_ = std::move(alternate);
  }
  return result;
}

DebugSections DebugSections::load_split(const ElfImage& image, const DebugSections& origin, size_t threads,
                                        Diagnostics& diagnostics) {
  DebugSections result;
  result.is_split_ = true;
  result.load_sections(image, threads, diagnostics);
  auto addresses = origin.sections_.find("debug_addr");
  if (addresses != origin.sections_.end()) result.sections_.insert(*addresses);
  return result;
}

void DebugSections::load_sections(const ElfImage& image, size_t threads, Diagnostics& diagnostics) {
  path_ = image.path();
  const std::span<const std::string_view> names =
      is_split_ ? std::span(kSplitSections) : std::span<const std::string_view>(kSections);
  std::vector<Result<SectionData>> loaded(names.size());
  parallel_for(loaded.size(), threads, [&](size_t i) {
    loaded[i] = is_split_ ? whole_section(image, names[i]) : image.section_data(names[i]);
  });
  for (size_t i = 0; i < loaded.size(); ++i) {
    if (!loaded[i]) {
      diagnostics.add("damaged_debug_info", loaded[i].error().message);
    } else if (!loaded[i]->bytes.empty()) {
      sections_.emplace(names[i].substr(1), *std::move(loaded[i]));
    }
  }
  drop_lies(diagnostics);
}

void DebugSections::drop_lies(Diagnostics& diagnostics) {
  for (const char* units : {"debug_info", "debug_types", "debug_info.dwo", "debug_types.dwo"}) {
    if (has_sane_unit_count(get(units))) continue;
    diagnostics.add("damaged_debug_info", fmt::format("{}: .{}: more than {} units", path_, units, kMaxUnits));
    sections_.clear();
  }
  for (const char* index : {"debug_cu_index", "debug_tu_index"}) {
    if (get(index).empty() || is_sane_index(get(index))) continue;
    diagnostics.add("damaged_debug_info",
                    fmt::format("{}: .{}: the numbers of buckets and rows contradict", path_, index));
    sections_.clear();  // without it, every unit would be read with another's strings
  }
}

uint64_t DebugSections::unit_bytes() const {
  return is_split_ ? get("debug_info.dwo").size() + get("debug_types.dwo").size()
                   : get("debug_info").size() + get("debug_types").size();
}

const llvm::DWARFUnitVector& DebugSections::units(llvm::DWARFContext& context) const {
  return is_split_ ? context.getDWOUnitsVector() : context.getNormalUnitsVector();
}

Bytes DebugSections::get(std::string_view name_without_dot) const {
  auto found = sections_.find(name_without_dot);
  return found == sections_.end() ? Bytes{} : found->second.bytes;
}

std::unique_ptr<llvm::DWARFContext> DebugSections::make_context(uint64_t& damage) const {
  auto count = [&damage](llvm::Error error) {
    llvm::consumeError(std::move(error));
    ++damage;
  };
  return std::make_unique<llvm::DWARFContext>(std::make_unique<LlvmSections>(*this, damage), "", count, count);
}

const DebugSections& DebugSections::of(const llvm::DWARFUnit& unit) {
  return LlvmSections::of(unit).sections();
}

namespace {

// Moves `at` past the attributes' values. False when they do not end inside the unit.
bool skip_attributes(const llvm::DWARFAbbreviationDeclaration& abbreviation, const llvm::DWARFUnit& unit,
                     const llvm::DWARFDataExtractor& bytes, uint64_t unit_end, uint64_t& at) {
  if (auto size = abbreviation.getFixedAttributesByteSize(unit)) {
    at += *size;
    return at <= unit_end;
  }
  for (const auto& attribute : abbreviation.attributes()) {
    const uint64_t begin = at;
    if (auto size = attribute.getByteSize(unit)) {
      at += static_cast<uint64_t>(*size);
    } else if (!llvm::DWARFFormValue::skipValue(attribute.Form, bytes, &at, unit.getFormParams())) {
      return false;
    }
    if (at < begin || at > unit_end) return false;
  }
  return true;
}

}  // namespace

bool Die::read(llvm::DWARFUnit& unit, uint64_t& offset) {
  uint64_t unit_end = unit.getNextUnitOffset();
  if (offset >= unit_end) return false;
  uint64_t at = offset;
  const llvm::DWARFDataExtractor bytes = unit.getDebugInfoExtractor();
  const auto first = static_cast<uint8_t>(bytes.getData()[offset]);
  const uint64_t code = first < 0x80 ? (++at, first) : bytes.getULEB128(&at);  // most codes are one byte
  if (at <= offset || at > unit_end) return false;
  const llvm::DWARFAbbreviationDeclaration* abbreviation = nullptr;
  if (code != 0) {
    const auto* set = unit.getAbbreviations();
    abbreviation = set == nullptr ? nullptr : set->getAbbreviationDeclaration(static_cast<uint32_t>(code));
    if (abbreviation == nullptr || code > UINT32_MAX || !skip_attributes(*abbreviation, unit, bytes, unit_end, at)) {
      return false;
    }
  }
  unit_ = &unit;
  abbreviation_ = abbreviation;
  offset_ = offset;
  end_ = offset = at;
  return true;
}

std::optional<llvm::DWARFFormValue> Die::find(dw::Attribute attribute) const {
  if (abbreviation_ == nullptr) return std::nullopt;
  return abbreviation_->getAttributeValue(offset_, attribute, *unit_);
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

namespace {

// References from the start of the unit. (DWARFFormValue's own accessors for this differ between LLVM 16 and later ones.)
bool is_relative(dw::Form form) {
  return form == dw::DW_FORM_ref1 || form == dw::DW_FORM_ref2 || form == dw::DW_FORM_ref4 || form == dw::DW_FORM_ref8 ||
         form == dw::DW_FORM_ref_udata;
}

bool is_alternate(dw::Form form) {
  return form == dw::DW_FORM_GNU_ref_alt || form == dw::DW_FORM_ref_sup4 || form == dw::DW_FORM_ref_sup8;
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
  if (!unit_die.read(unit, offset) || unit_die.tag() == dw::DW_TAG_null) return false;
  return unit.getUnitDIE(/*ExtractUnitDIEOnly=*/true).isValid();
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
