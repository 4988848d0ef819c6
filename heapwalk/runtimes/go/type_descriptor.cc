#include "heapwalk/runtimes/go/type_descriptor.h"

#include <array>
#include <span>

namespace heapwalk::go {
namespace {

constexpr uint8_t kKindMask = 31, kDirectInKind = 32, kProgramInKind = 64;
constexpr uint8_t kUncommon = 1, kExtraStar = 2, kNamed = 4, kMaskDeferred = 16, kDirect = 32;
constexpr int kDeferredMasksSince = 24, kDirectFlagSince = 26;

constexpr size_t kMaxDescriptorBytes = 64;
constexpr uint64_t kMaxFields = 1 << 20;

uint64_t word_at(Bytes bytes, uint64_t offset) {
  return load<uint64_t>(bytes.data() + offset);
}

}  // namespace

std::optional<TypeDescriptor> read_type_descriptor(const AddressSpace& memory, const Layout& layout, Address at) {
  if (!at || !at.is_aligned(8)) return std::nullopt;
  std::array<std::byte, kMaxDescriptorBytes> copy;
  const size_t size_bytes = layout.offset(Field::Type_size);
  if (size_bytes > copy.size() || !memory.copy(at, std::span(copy).first(size_bytes))) return std::nullopt;
  const Bytes bytes(copy);
  const auto byte_at = [&](Field field) { return static_cast<uint8_t>(bytes[layout.offset(field)]); };
  const uint8_t flags = byte_at(Field::Type_TFlag), kind = byte_at(Field::Type_Kind_);
  TypeDescriptor type{.address = at,
                      .size_bytes = word_at(bytes, layout.offset(Field::Type_Size_)),
                      .pointer_bytes = word_at(bytes, layout.offset(Field::Type_PtrBytes)),
                      .hash = load<uint32_t>(bytes.data() + layout.offset(Field::Type_Hash)),
                      .gc_data = Address{word_at(bytes, layout.offset(Field::Type_GCData))},
                      .name_offset = load<int32_t>(bytes.data() + layout.offset(Field::Type_Str))};
  if ((kind & kKindMask) > static_cast<uint8_t>(GoKind::kUnsafePointer)) return std::nullopt;
  if (type.pointer_bytes > type.size_bytes || type.pointer_bytes % 8 != 0) return std::nullopt;
  type.kind = static_cast<GoKind>(kind & kKindMask);
  type.is_direct = layout.minor() < kDirectFlagSince ? (kind & kDirectInKind) != 0 : (flags & kDirect) != 0;
  type.has_uncommon = (flags & kUncommon) != 0;
  type.has_extra_star = (flags & kExtraStar) != 0;
  type.is_named = (flags & kNamed) != 0;
  type.has_program = layout.minor() < kDeferredMasksSince && (kind & kProgramInKind) != 0;
  type.is_mask_deferred = layout.minor() >= kDeferredMasksSince && (flags & kMaskDeferred) != 0;
  return type;
}

std::optional<ArrayParts> read_array_parts(const AddressSpace& memory, const Layout& layout, Address array) {
  const auto element = memory.read_pointer(array + layout.offset(Field::ArrayType_Elem));
  const auto length = memory.read_word(array + layout.offset(Field::ArrayType_Len));
  if (!element || !length) return std::nullopt;
  return ArrayParts{*element, *length};
}

std::optional<StructFields> read_struct_fields(const AddressSpace& memory, const Layout& layout, Address record) {
  const Address slice = record + layout.offset(Field::StructType_Fields);
  const auto data = memory.read_pointer(slice);
  const auto count = memory.read_word(slice + 8);
  if (!data || !count) return std::nullopt;
  if (*count > kMaxFields) return std::nullopt;
  return StructFields{*data, *count};
}

std::optional<StructField> read_struct_field(const AddressSpace& memory, const Layout& layout, Address at) {
  const auto name = memory.read_pointer(at + layout.offset(Field::StructField_Name));
  const auto type = memory.read_pointer(at + layout.offset(Field::StructField_Typ));
  const auto offset = memory.read_word(at + layout.offset(Field::StructField_Offset));
  if (!name || !type || !offset) return std::nullopt;
  return StructField{*name, *type, *offset};
}

}  // namespace heapwalk::go
