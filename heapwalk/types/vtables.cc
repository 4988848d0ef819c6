#include "heapwalk/types/vtables.h"

#include <algorithm>
#include <string_view>

#include "heapwalk/types/rtti.h"

namespace heapwalk {
namespace {

constexpr uint64_t kMaxVtableBytes = 1 << 20;
constexpr uint64_t kMaxVbaseOffsets = 64;  // words before the first address point, in classes with virtual bases

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

Vtables::Vtables(const CoreDump& dump) {
  add_by_symbols(dump);
  for (const RttiVtable& vtable : find_rtti_vtables(dump)) add(vtable.address_point, vtable.mangled_class);
  std::ranges::stable_sort(vtables_, {}, &Vtable::address_point);
  const auto [first, last] = std::ranges::unique(vtables_, {}, &Vtable::address_point);
  vtables_.erase(first, last);
  if (!vtables_.empty()) span_ = {vtables_.front().address_point, vtables_.back().address_point + 1};
}

void Vtables::add_by_symbols(const CoreDump& dump) {
  for (const Module& module : dump.modules) {
    for (const Symbol& symbol : module.symbols.all()) {
      if (!symbol.name.starts_with("_ZTV") || symbol.size_bytes < 16 || symbol.size_bytes > kMaxVtableBytes) continue;
      const std::string mangled_class(symbol.name.substr(4));
      std::optional<Address> typeinfo;
      if (const Symbol* info = module.symbols.find_by_name("_ZTI" + mangled_class))
        typeinfo = module.to_runtime(info->link_address);
      auto point = primary_address_point(
          dump.memory, AddressRange::of(module.to_runtime(symbol.link_address), symbol.size_bytes), typeinfo);
      if (point) add(*point, mangled_class);
    }
  }
}

void Vtables::add(Address address_point, const std::string& mangled_class) {
  auto [at, is_new] = numbers_.try_emplace(mangled_class, static_cast<uint32_t>(classes_.size()));
  if (is_new) {
    symbols_.push_back("_ZTV" + mangled_class);
    const std::string name = demangle(symbols_.back());
    constexpr std::string_view kPrefix = "vtable for ";
    classes_.push_back(name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : mangled_class);
  }
  vtables_.push_back({address_point, at->second});
}

TypeId Vtables::record_of(uint32_t number, const TypeTable& types) const {
  auto id = types.find(classes_[number]);  // templates may be spelled otherwise there
  if (!id || types[*id].kind != TypeKind::record) id = types.find_mangled(mangled_class(symbols_[number]));
  return id && types[*id].kind == TypeKind::record ? *id : kNoType;
}

std::optional<uint32_t> Vtables::search(Address word) const {
  auto at = std::ranges::lower_bound(vtables_, word, {}, &Vtable::address_point);
  return at != vtables_.end() && at->address_point == word ? std::optional(at->type) : std::nullopt;
}

}  // namespace heapwalk
