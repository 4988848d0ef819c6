#include "heapwalk/runtimes/go/types/type_list.h"

#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "heapwalk/runtimes/go/program/type_descriptor.h"
#include "heapwalk/runtimes/go/types/type_graph.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxListed = 1 << 22;
constexpr uint64_t kMaxTypeBytes = uint64_t{1} << 40;

// 0: such types have any size.
uint64_t size_of_kind(GoKind kind) {
  switch (kind) {
    case GoKind::kBool:
    case GoKind::kInt8:
    case GoKind::kUint8:
      return 1;
    case GoKind::kInt16:
    case GoKind::kUint16:
      return 2;
    case GoKind::kInt32:
    case GoKind::kUint32:
    case GoKind::kFloat32:
      return 4;
    case GoKind::kComplex128:
    case GoKind::kString:
    case GoKind::kInterface:
      return 16;
    case GoKind::kSlice:
      return 24;
    case GoKind::kArray:
    case GoKind::kStruct:
      return 0;
    default:
      return 8;
  }
}

class Lister {
 public:
  Lister(const AddressSpace& memory, const Process& process, Diagnostics& diagnostics)
      : memory_(memory), process_(process), layout_(process.layout), diagnostics_(diagnostics) {}

  ListedTypes run() && {
    for (const ModuleData& module : process_.modules) {
      if (layout_.has(Field::moduledata_typelinks)) add_links(module);
      if (layout_.has(Field::moduledata_typedesclen)) add_rows(module);
      scan(module);
    }
    add_table();
    return std::move(listed_);
  }

 private:
  void add_pair(Address itab) {
    listed_.itabs.push_back(itab);
    for (Field field : {Field::ITab_Inter, Field::ITab_Type}) {
      if (auto type = memory_.read_pointer(itab + layout_.offset(field)); type && *type) listed_.types.push_back(*type);
    }
  }

  void lost(const ModuleData& module, std::string_view what) {
    diagnostics_.add("go_types_lost",
                     fmt::format("Go module at {:#x}: {} are not as expected, types of objects may be unknown",
                                 module.address.value, what));
  }

  void add_links(const ModuleData& module) {
    const auto offsets = read_slice(memory_, module.address + layout_.offset(Field::moduledata_typelinks));
    if (!offsets || offsets->length > kMaxListed) return lost(module, "typelinks");
    for (uint64_t i = 0; i < offsets->length; ++i) {
      const auto offset = memory_.read<int32_t>(offsets->data + i * 4);
      if (!offset) return lost(module, "typelinks");
      const Address type = module.types.begin + static_cast<uint64_t>(int64_t{*offset});
      if (module.types.contains(type)) listed_.types.push_back(type);
    }
    const auto pairs = read_slice(memory_, module.address + layout_.offset(Field::moduledata_itablinks));
    if (!pairs || pairs->length > kMaxListed) return lost(module, "itablinks");
    for (uint64_t i = 0; i < pairs->length; ++i) {
      const auto pair = memory_.read_pointer(pairs->data + i * 8);
      if (!pair) return lost(module, "itablinks");
      add_pair(*pair);
    }
  }

  void scan(const ModuleData& module) {
    const Bytes bytes = memory_.read(module.types.begin, module.types.size_bytes());
    const uint64_t size_bytes = layout_.offset(Field::Type_size);
    for (uint64_t i = 0; i + size_bytes <= bytes.size(); i += 8) {
      if (is_descriptor(module, bytes.subspan(i, size_bytes))) listed_.types.push_back(module.types.begin + i);
    }
  }

  bool is_descriptor(const ModuleData& module, Bytes bytes) const {
    const auto byte = [&](Field field) { return static_cast<uint8_t>(bytes[layout_.offset(field)]); };
    const auto word = [&](Field field) { return load<uint64_t>(bytes.data() + layout_.offset(field)); };
    const auto kind = static_cast<GoKind>(byte(Field::Type_Kind_) & 31);
    if (kind == GoKind::kInvalid || kind > GoKind::kUnsafePointer) return false;
    const uint64_t size_bytes = word(Field::Type_Size_), pointer_bytes = word(Field::Type_PtrBytes);
    const uint64_t wanted = size_of_kind(kind);
    if (wanted != 0 ? size_bytes != wanted : size_bytes > kMaxTypeBytes) return false;
    if (pointer_bytes > size_bytes || pointer_bytes % 8 != 0) return false;
    const uint8_t align = byte(Field::Type_Align_);
    if (!std::has_single_bit(align) || byte(Field::Type_FieldAlign_) != align || size_bytes % align != 0) return false;
    const AddressRange image{module.text.begin, std::max(module.noptrbss.end, module.types.end)};
    for (Field field : {Field::Type_Equal, Field::Type_GCData}) {
      if (word(field) != 0 && !image.contains(Address{word(field)})) return false;
    }
    if ((pointer_bytes == 0) != (word(Field::Type_GCData) == 0) && pointer_bytes != 0) return false;
    const int32_t text = load<int32_t>(bytes.data() + layout_.offset(Field::Type_Str));
    return text > 0 && is_text(module, module.types.begin + static_cast<uint64_t>(text));
  }

  bool is_text(const ModuleData& module, Address at) const {
    if (!module.types.contains(at) || memory_.read<uint8_t>(at).value_or(UINT8_MAX) > 15) return false;
    const auto name = read_stored_name(memory_, at);
    return name && !name->text.empty() && name->text[0] >= ' ' && name->text[0] != 127;
  }

  // Go 1.27.
  void add_rows(const ModuleData& module) {
    const auto bytes = memory_.read_word(module.address + layout_.offset(Field::moduledata_typedesclen));
    if (!bytes || *bytes > module.types.size_bytes()) return lost(module, "type descriptors");
    const Address end = module.types.begin + *bytes;
    for (Address at = module.types.begin + 8; at < end;) {  // behind a word that makes 0 the offset of nothing
      const auto type = read_type_descriptor(memory_, layout_, at);
      const auto size_bytes =
          type && type->kind != GoKind::kInvalid ? descriptor_bytes(memory_, layout_, *type) : std::nullopt;
      if (!size_bytes) return lost(module, "type descriptors");
      listed_.types.push_back(at);
      at = (at + *size_bytes).align_up(8);
    }
    const auto offset = memory_.read_word(module.address + layout_.offset(Field::moduledata_itaboffset));
    const auto pairs = memory_.read_word(module.address + layout_.offset(Field::moduledata_itabsize));
    if (!offset || !pairs || *offset > module.types.size_bytes() || *pairs > module.types.size_bytes() - *offset) {
      return lost(module, "itabs");
    }
    add_pairs(module, AddressRange::of(module.types.begin + *offset, *pairs));
  }

  // One behind the other, each with as many functions as its interface has methods; none if the type does not implement it.
  void add_pairs(const ModuleData& module, AddressRange pairs) {
    for (Address at = pairs.begin; at < pairs.end;) {
      const auto interface = memory_.read_pointer(at + layout_.offset(Field::ITab_Inter));
      const auto first = memory_.read_word(at + layout_.offset(Field::ITab_Fun));
      const auto methods =
          interface ? memory_.read_word(*interface + layout_.offset(Field::InterfaceType_Methods) + 8) : std::nullopt;
      if (!first || !methods || *methods > kMaxListed) return lost(module, "itabs");
      add_pair(at);
      at += layout_.offset(Field::ITab_size) + (*first == 0 || *methods == 0 ? 0 : (*methods - 1) * 8);
    }
  }

  void add_table() {
    const auto variable = process_.variable("runtime.itabTable");
    const auto table = variable ? memory_.read_pointer(*variable) : std::nullopt;
    if (!table || !*table) return;
    const auto size = memory_.read_word(*table + layout_.offset(Field::itabTableType_size));
    for (uint64_t i = 0; i < std::min(size.value_or(0), kMaxListed); ++i) {
      const auto pair = memory_.read_pointer(*table + layout_.offset(Field::itabTableType_entries) + i * 8);
      if (!pair) return;
      if (*pair) add_pair(*pair);
    }
  }

  const AddressSpace& memory_;
  const Process& process_;
  const Layout& layout_;
  Diagnostics& diagnostics_;
  ListedTypes listed_;
};

}  // namespace

ListedTypes list_types(const AddressSpace& memory, const Process& process, Diagnostics& diagnostics) {
  return Lister(memory, process, diagnostics).run();
}

}  // namespace heapwalk::go
