#include "dwarf/entry_bounds.h"

#include <algorithm>

#include "dwarf/leb128.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

template <class Size>
bool skip_block(ByteReader& reader, std::optional<Size> size_bytes) {
  return size_bytes && reader.skip(*size_bytes);
}

// Forms whose size the value itself says.
bool skip_variable(ByteReader& reader, dw::Form form) {
  switch (form) {
    case dw::DW_FORM_exprloc:
    case dw::DW_FORM_block:
      return skip_block(reader, read_uleb(reader));
    case dw::DW_FORM_block1:
      return skip_block(reader, reader.read<uint8_t>());
    case dw::DW_FORM_block2:
      return skip_block(reader, reader.read<uint16_t>());
    case dw::DW_FORM_block4:
      return skip_block(reader, reader.read<uint32_t>());
    case dw::DW_FORM_string:
      return reader.read_c_string().has_value();
    case dw::DW_FORM_sdata:
    case dw::DW_FORM_udata:
    case dw::DW_FORM_ref_udata:
    case dw::DW_FORM_strx:
    case dw::DW_FORM_addrx:
    case dw::DW_FORM_loclistx:
    case dw::DW_FORM_rnglistx:
    case dw::DW_FORM_GNU_addr_index:
    case dw::DW_FORM_GNU_str_index:
      return read_uleb(reader).has_value();
    default:  // DW_FORM_indirect, which no compiler writes, and forms that nobody knows
      return false;
  }
}

}  // namespace

std::optional<EntryBounds> measure_entry(const llvm::DWARFUnit& unit, uint64_t offset) {
  const llvm::StringRef section = unit.getDebugInfoExtractor().getData();
  const uint64_t end = std::min<uint64_t>(section.size(), unit.getNextUnitOffset());
  if (offset >= end) return std::nullopt;
  const auto* bytes = reinterpret_cast<const std::byte*>(section.data());
  ByteReader reader(Bytes(bytes + offset, end - offset));
  const auto code = read_uleb(reader);
  if (!code || *code > UINT32_MAX) return std::nullopt;
  if (*code == 0) return EntryBounds{offset + reader.offset(), nullptr};
  const auto* abbreviations = unit.getAbbreviations();
  const auto* abbreviation =
      abbreviations == nullptr ? nullptr : abbreviations->getAbbreviationDeclaration(static_cast<uint32_t>(*code));
  // LLVM counts on the shortest way to write the code.
  if (abbreviation == nullptr || reader.offset() != abbreviation->getCodeByteSize()) return std::nullopt;
  if (auto size = abbreviation->getFixedAttributesByteSize(unit)) {
    if (!reader.skip(*size)) return std::nullopt;
    return EntryBounds{offset + reader.offset(), abbreviation};
  }
  for (const auto& attribute : abbreviation->attributes()) {
    if (attribute.isImplicitConst()) continue;
    const auto size = attribute.getByteSize(unit);
    const bool fits = size ? reader.skip(static_cast<uint64_t>(*size)) : skip_variable(reader, attribute.Form);
    if (!fits) return std::nullopt;
  }
  return EntryBounds{offset + reader.offset(), abbreviation};
}

}  // namespace heapwalk
