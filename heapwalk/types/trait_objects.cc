#include "heapwalk/types/trait_objects.h"

#include <algorithm>

namespace heapwalk {
namespace {

constexpr uint64_t kMethods = 8;  // looked at after the three words in front of them
constexpr size_t kMaxNameBytes = 4096;

// The bracket that closes the one at `open`; npos when none does. "->" closes nothing.
size_t closing(std::string_view text, size_t open) {
  size_t depth = 0;
  for (size_t at = open; at < text.size(); ++at) {
    if (text[at] == '<') ++depth;
    if (text[at] == '>' && text[at - 1] != '-' && --depth == 0) return at;
  }
  return std::string_view::npos;
}

// "Circle" of "core::ptr::drop_in_place<Circle>::h01…" and of "<Circle as Shape>::area".
std::string_view type_in(std::string_view function) {
  constexpr std::string_view kDrop = "core::ptr::drop_in_place";
  const bool is_drop = function.starts_with(kDrop);
  size_t open = is_drop ? kDrop.size() : 0;
  if (is_drop && function.substr(open).starts_with("::<")) open += 2;
  if (open >= function.size() || function[open] != '<') return {};
  const size_t close = closing(function, open);
  if (close == std::string_view::npos) return {};
  const std::string_view inside = function.substr(open + 1, close - open - 1);
  if (is_drop) return inside;
  const size_t as = inside.rfind(" as ");
  return as == std::string_view::npos ? std::string_view() : inside.substr(0, as);
}

// Symbols have no spaces between arguments, and no allocator where it is the usual one.
std::string plain(std::string_view name) {
  constexpr std::string_view kGlobal = ",alloc::alloc::Global";
  std::string text;
  for (char c : name.substr(0, kMaxNameBytes)) {
    if (c != ' ') text += c;
  }
  for (size_t at = text.find(kGlobal); at != std::string::npos; at = text.find(kGlobal, at)) {
    text.erase(at, kGlobal.size());
  }
  return text;
}

}  // namespace

TypeId TraitObjects::type_of(Address vtable, TypeId target) {
  auto [at, is_new] = known_.try_emplace(vtable.value, kNoType);
  if (is_new) at->second = value_type(vtable);
  if (at->second == kNoType || target == kNoType) return kNoType;
  const std::string_view outer = (*types_)[target].name;
  const size_t open = outer.find("<dyn ");
  if (open == std::string_view::npos) return at->second;
  const std::string inner = std::string(outer.substr(0, open + 1)) + types_->spelled(at->second) + ">";
  return types_->find(inner).value_or(kNoType);
}

TypeId TraitObjects::value_type(Address vtable) {
  if (const TypeId managed = erased_.type_of(vtable); managed != kNoType) return managed;
  const auto size_bytes = dump_->memory.read_word(vtable + 8);
  if (!size_bytes || *size_bytes == 0) return kNoType;
  for (uint64_t word = 0; word < 3 + kMethods; word = word == 0 ? 3 : word + 1) {
    const auto function = dump_->memory.read_pointer(vtable + 8 * word);
    if (!function) return kNoType;
    const Module* module = dump_->find_module(*function);
    if (module == nullptr) {
      if (word == 0 && !*function) continue;  // nothing to drop
      return kNoType;
    }
    const Symbol* symbol = module->find_symbol(*function);
    if (symbol == nullptr || symbol->name.size() > kMaxNameBytes) continue;
    const TypeId type = find_type(type_in(demangle(symbol->name)), *size_bytes);
    if (type != kNoType) return type;
  }
  return kNoType;
}

TypeId TraitObjects::find_type(std::string_view name, uint64_t size_bytes) {
  if (name.empty()) return kNoType;
  if (names_.empty()) {
    for (uint32_t i = 0; i < types_->size(); ++i) {
      const Type& type = (*types_)[TypeId{i}];
      if (!type.name.empty() && type.kind != TypeKind::declaration) names_[plain(type.name)].push_back(TypeId{i});
    }
  }
  auto at = names_.find(plain(name));
  if (at == names_.end()) return kNoType;
  auto found = std::ranges::find_if(at->second, [&](TypeId id) { return types_->size_bytes(id) == size_bytes; });
  return found == at->second.end() ? kNoType : *found;
}

}  // namespace heapwalk
