#include "heapwalk/object_types.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace heapwalk {
namespace {

constexpr uint64_t kMaxVtableBytes = 1 << 20;
constexpr uint64_t kMaxVbaseOffsets = 64;  // words before the first address point, in classes with virtual bases

std::string size_class_name(uint64_t from_bytes, uint64_t to_bytes) {
  auto unit = [](uint64_t bytes) {
    if (bytes >= 1ULL << 40) return fmt::format("{}TB", bytes >> 40);
    if (bytes >= 1ULL << 30) return fmt::format("{}GB", bytes >> 30);
    if (bytes >= 1ULL << 20) return fmt::format("{}MB", bytes >> 20);
    return fmt::format("{}KB", bytes >> 10);
  };
  return fmt::format("[{}..{})", unit(from_bytes), unit(to_bytes));
}

// The primary address point of a vtable group: the first whose offset-to-top is 0 and whose typeinfo word is the
// class's own. Virtual-base offsets may come before it.
std::optional<Address> primary_address_point(const AddressSpace& memory, AddressRange vtable,
                                             std::optional<Address> typeinfo) {
  const Address limit = std::min(vtable.end, vtable.begin + 8 * (kMaxVbaseOffsets + 2));
  for (Address at = vtable.begin; at + 16 <= limit; at += 8) {
    auto offset_to_top = memory.read_word(at);
    auto info = memory.read_pointer(at + 8);
    if (!offset_to_top || !info) return std::nullopt;
    if (*offset_to_top == 0 && *info && (typeinfo ? *info == *typeinfo : at == vtable.begin)) return at + 16;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(TypeEvidence evidence) {
  switch (evidence) {
    case TypeEvidence::runtime:
      return "runtime";
    case TypeEvidence::container:
      return "container";
    case TypeEvidence::pointer:
      return "pointer";
    case TypeEvidence::field:
      return "field";
    case TypeEvidence::none:
      return "none";
  }
  return "none";
}

ObjectTypes::ObjectTypes(const CoreDump& dump) : dump_(&dump) {
  for (uint32_t i = 0; i < kSmallClasses; ++i) names_.push_back(fmt::format("[{} B]", i * 8));
  for (uint32_t i = 0; i < kSizeClasses - kSmallClasses; ++i)
    names_.push_back(i < 53 ? size_class_name(1ULL << (i + 10), 1ULL << (i + 11)) : "[huge]");

  std::unordered_map<std::string_view, uint32_t> type_of_class;
  for (const Module& module : dump.modules) {
    for (const Symbol& symbol : module.symbols.all()) {
      if (!symbol.name.starts_with("_ZTV") || symbol.size_bytes < 16 || symbol.size_bytes > kMaxVtableBytes) continue;
      const std::string_view mangled_class = symbol.name.substr(4);
      std::optional<Address> typeinfo;
      if (const Symbol* info = module.symbols.find_by_name("_ZTI" + std::string(mangled_class)))
        typeinfo = module.to_runtime(info->link_address);
      auto point = primary_address_point(
          dump.memory, AddressRange::of(module.to_runtime(symbol.link_address), symbol.size_bytes), typeinfo);
      if (!point) continue;
      auto [at, is_new] = type_of_class.try_emplace(mangled_class, type_count());
      if (is_new) {
        std::string name = demangle(symbol.name);
        constexpr std::string_view kPrefix = "vtable for ";
        names_.push_back(name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : std::string(mangled_class));
      }
      vtables_.push_back({*point, at->second});
    }
  }
  std::ranges::sort(vtables_, {}, &Vtable::address_point);
  const auto [first, last] = std::ranges::unique(vtables_, {}, &Vtable::address_point);
  vtables_.erase(first, last);
  if (!vtables_.empty()) vtable_span_ = {vtables_.front().address_point, vtables_.back().address_point + 1};
}

uint32_t ObjectTypes::size_class(uint64_t size_bytes) {
  if (size_bytes <= 1024) return static_cast<uint32_t>((size_bytes + 7) / 8);
  return std::min<uint32_t>(kSmallClasses + static_cast<uint32_t>(std::bit_width(size_bytes)) - 11, kSizeClasses - 1);
}

TypeClaim ObjectTypes::type_of(Address address, uint64_t size_bytes) const {
  if (!vtables_.empty() && size_bytes >= 8) {
    auto word = dump_->memory.read_pointer(address);
    if (word && vtable_span_.contains(*word)) {
      auto at = std::ranges::lower_bound(vtables_, *word, {}, &Vtable::address_point);
      if (at != vtables_.end() && at->address_point == *word) return {at->type, TypeEvidence::runtime};
    }
  }
  return {size_class(size_bytes), TypeEvidence::none};
}

TypeClaim ObjectTypes::type_of(const ObjectIndex& objects, ObjectId object) const {
  return type_of(objects.address(object), objects.size_bytes(object));
}

}  // namespace heapwalk
