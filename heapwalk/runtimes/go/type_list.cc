#include "heapwalk/runtimes/go/type_list.h"

#include <algorithm>

#include <fmt/format.h>

#include "heapwalk/runtimes/go/type_descriptor.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxListed = 1 << 22;

class Lister {
 public:
  Lister(const AddressSpace& memory, const Process& process, Diagnostics& diagnostics)
      : memory_(memory), process_(process), layout_(process.layout), diagnostics_(diagnostics) {}

  std::vector<Address> run() && {
    for (const ModuleData& module : process_.modules) {
      if (layout_.has(Field::moduledata_typelinks)) add_links(module);
      if (layout_.has(Field::moduledata_typedesclen)) add_rows(module);
    }
    add_table();
    return std::move(types_);
  }

 private:
  void add_pair(Address itab) {
    for (Field field : {Field::ITab_Inter, Field::ITab_Type}) {
      if (auto type = memory_.read_pointer(itab + layout_.offset(field)); type && *type) types_.push_back(*type);
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
      if (module.types.contains(type)) types_.push_back(type);
    }
    const auto pairs = read_slice(memory_, module.address + layout_.offset(Field::moduledata_itablinks));
    if (!pairs || pairs->length > kMaxListed) return lost(module, "itablinks");
    for (uint64_t i = 0; i < pairs->length; ++i) {
      const auto pair = memory_.read_pointer(pairs->data + i * 8);
      if (!pair) return lost(module, "itablinks");
      add_pair(*pair);
    }
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
      types_.push_back(at);
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
  std::vector<Address> types_;
};

}  // namespace

std::vector<Address> list_types(const AddressSpace& memory, const Process& process, Diagnostics& diagnostics) {
  return Lister(memory, process, diagnostics).run();
}

}  // namespace heapwalk::go
