#include "heapwalk/runtimes/go/program/type_descriptor.h"

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

namespace {

// The part that all descriptors of a kind have. The newer maps of Go 1.24 have more to say than the classic ones.
uint64_t common_bytes(const Layout& layout, GoKind kind) {
  switch (kind) {
    case GoKind::kArray:
      return layout.offset(Field::ArrayType_size);
    case GoKind::kChan:
      return layout.offset(Field::ChanType_size);
    case GoKind::kFunc:
      return layout.offset(Field::FuncType_size);
    case GoKind::kInterface:
      return layout.offset(Field::InterfaceType_size);
    case GoKind::kMap:
      return layout.offset(layout.has(Field::MapType_size) ? Field::MapType_size : Field::OldMapType_size);
    case GoKind::kPointer:
      return layout.offset(Field::PtrType_size);
    case GoKind::kSlice:
      return layout.offset(Field::SliceType_size);
    case GoKind::kStruct:
      return layout.offset(Field::StructType_size);
    default:
      return layout.offset(Field::Type_size);
  }
}

struct FunctionCounts {
  uint16_t in = 0, out = 0;
  bool is_variadic = false;
};
std::optional<FunctionCounts> read_function_counts(const AddressSpace& memory, const Layout& layout, Address at) {
  constexpr uint16_t kVariadic = 1 << 15;
  const auto in = memory.read<uint16_t>(at + layout.offset(Field::FuncType_InCount));
  const auto out = memory.read<uint16_t>(at + layout.offset(Field::FuncType_OutCount));
  if (!in || !out) return std::nullopt;
  return FunctionCounts{*in, static_cast<uint16_t>(*out & ~kVariadic), (*out & kVariadic) != 0};
}

}  // namespace

std::optional<Uncommon> read_uncommon(const AddressSpace& memory, const Layout& layout, const TypeDescriptor& type) {
  if (!type.has_uncommon) return std::nullopt;
  const Address at = type.address + common_bytes(layout, type.kind);
  const auto package = memory.read<int32_t>(at + layout.offset(Field::UncommonType_PkgPath));
  const auto methods = memory.read<uint16_t>(at + layout.offset(Field::UncommonType_Mcount));
  if (!package || !methods) return std::nullopt;
  return Uncommon{*package, *methods};
}

std::optional<uint64_t> descriptor_bytes(const AddressSpace& memory, const Layout& layout, const TypeDescriptor& type) {
  uint64_t bytes = common_bytes(layout, type.kind);
  if (type.has_uncommon) {
    const auto uncommon = read_uncommon(memory, layout, type);
    if (!uncommon) return std::nullopt;
    bytes += layout.offset(Field::UncommonType_size) + uint64_t{uncommon->methods} * layout.offset(Field::Method_size);
  }
  if (type.kind == GoKind::kFunc) {
    const auto counts = read_function_counts(memory, layout, type.address);
    if (!counts) return std::nullopt;
    bytes += (uint64_t{counts->in} + counts->out) * 8;
  } else if (type.kind == GoKind::kInterface) {
    const auto count = memory.read_word(type.address + layout.offset(Field::InterfaceType_Methods) + 8);
    if (!count || *count > kMaxFields) return std::nullopt;
    bytes += *count * layout.offset(Field::Imethod_size);
  } else if (type.kind == GoKind::kStruct) {
    const auto fields = read_struct_fields(memory, layout, type.address);
    if (!fields) return std::nullopt;
    bytes += fields->count * layout.offset(Field::StructField_size);
  }
  return bytes;
}

std::vector<Address> read_function_parts(const AddressSpace& memory, const Layout& layout, const TypeDescriptor& type,
                                         size_t& results, bool& is_variadic) {
  std::vector<Address> parts;
  const auto counts = read_function_counts(memory, layout, type.address);
  if (!counts) return parts;
  results = counts->in;
  is_variadic = counts->is_variadic;
  Address at = type.address + layout.offset(Field::FuncType_size);
  if (type.has_uncommon) at += layout.offset(Field::UncommonType_size);
  for (uint32_t i = 0; i < uint32_t{counts->in} + counts->out; ++i) {
    const auto part = memory.read_pointer(at + i * uint64_t{8});
    if (!part) break;
    parts.push_back(*part);
  }
  return parts;
}

}  // namespace heapwalk::go
