#include "dwarf/type_table.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace heapwalk {
namespace {

constexpr size_t kNameBlockBytes = 1 << 16;
constexpr int kMaxSpelledParts = 32;  // pointers to arrays of pointers …

bool is_compound(TypeKind kind) {
  return kind == TypeKind::record || kind == TypeKind::union_;
}

uint64_t pointer_key(TypeId target, PointerForm form, uint64_t size_bytes) {
  return uint64_t{index(target)} << 8 | (size_bytes & 0x3f) << 2 | static_cast<uint64_t>(form);
}

}  // namespace

std::optional<TypeId> TypeTable::find(std::string_view name) const {
  auto at = by_name_.find(name);
  return at == by_name_.end() ? std::nullopt : std::optional(at->second);
}

std::optional<TypeId> TypeTable::find_mangled(std::string_view name) const {
  auto at = by_mangled_.find(name);
  return at == by_mangled_.end() ? std::nullopt : std::optional(at->second);
}

std::string TypeTable::spelled(TypeId id) const {
  std::string suffix;
  for (int part = 0; part < kMaxSpelledParts; ++part) {
    if (id == kNoType) return "void" + suffix;
    const Type& type = types_[index(id)];
    if (type.kind == TypeKind::function) return "function" + suffix;
    if (type.kind == TypeKind::pointer) {
      suffix.insert(0, type.form == PointerForm::reference ? "&" : "*");
    } else if (type.kind == TypeKind::array) {
      suffix.insert(0, type.count == 0 ? "[]" : fmt::format("[{}]", type.count));
    } else if (!type.name.empty()) {
      return std::string(type.name) + suffix;
    } else {
      return (type.kind == TypeKind::union_        ? "(anonymous union)"
              : type.kind == TypeKind::enumeration ? "(anonymous enum)"
                                                   : "(anonymous struct)") +
             suffix;
    }
    id = type.target;
  }
  return "…" + suffix;
}

bool TypeTable::check() const {
  auto is_known = [&](TypeId id) { return id == kNoType || index(id) < size(); };
  for (uint32_t i = 0; i < size(); ++i) {
    const Type& type = types_[i];
    if (!is_known(type.target)) return false;
    if (type.first_field + size_t{type.field_count} > fields_.size()) return false;
    if (type.first_argument + size_t{type.argument_count} > arguments_.size()) return false;
    for (TypeId argument : arguments(TypeId{i})) {
      if (!is_known(argument)) return false;
    }
    uint64_t last = 0;
    for (const Field& field : fields(TypeId{i})) {
      if (!is_known(field.type) || field.offset_bytes < last || field.offset_bytes > type.size_bytes) return false;
      if (field.type == TypeId{i}) return false;
      last = field.offset_bytes;
    }
  }
  return true;
}

TypeTableBuilder::TypeTableBuilder(TypeTable table) : table_(std::move(table)) {
  for (uint32_t i = 0; i < table_.size(); ++i) {
    const Type& type = table_[TypeId{i}];
    if (type.kind == TypeKind::pointer)
      pointers_.try_emplace(pointer_key(type.target, type.form, type.size_bytes), TypeId{i});
    if (type.kind == TypeKind::array) arrays_.try_emplace({type.target, type.count}, TypeId{i});
  }
}

std::string_view TypeTableBuilder::keep(std::string_view text) {
  if (text.empty()) return {};
  auto at = kept_.find(text);
  if (at != kept_.end()) return *at;
  std::deque<std::string>& blocks = table_.names_;
  if (blocks.empty() || blocks.back().capacity() - blocks.back().size() < text.size()) {
    blocks.emplace_back().reserve(std::max(kNameBlockBytes, text.size()));
  }
  const size_t begin = blocks.back().size();
  blocks.back() += text;
  return *kept_.insert(std::string_view(blocks.back()).substr(begin)).first;
}

size_t TypeTableBuilder::Hash::operator()(const Key& key) const {
  return std::hash<std::string_view>()(key.name) ^
         (key.size_bytes << 8 | static_cast<size_t>(key.kind) << 4 | static_cast<size_t>(key.encoding)) *
             0x9e3779b97f4a7c15;
}

size_t TypeTableBuilder::Hash::operator()(const std::pair<TypeId, uint64_t>& array) const {
  return (array.second << 32 ^ index(array.first)) * 0x9e3779b97f4a7c15;
}

TypeTableBuilder::Key TypeTableBuilder::key(TypeKind kind, std::string_view name, uint64_t size_bytes) {
  return {.name = name, .size_bytes = size_bytes, .kind = kind == TypeKind::union_ ? TypeKind::record : kind};
}

std::optional<TypeId> TypeTableBuilder::known(TypeKind kind, std::string_view name, uint64_t size_bytes) const {
  auto at = known_.find(key(kind, name, size_bytes));
  return at == known_.end() ? std::nullopt : std::optional(at->second);
}

TypeId TypeTableBuilder::add(Type type) {
  TypeId id{table_.size()};
  if (!type.name.empty() && type.kind != TypeKind::declaration) {
    auto [at, is_new] = table_.by_name_.try_emplace(type.name, id);
    if (!is_new && is_compound(type.kind) && !is_compound(table_[at->second].kind)) at->second = id;
  }
  table_.types_.push_back(type);
  return id;
}

TypeId TypeTableBuilder::base(std::string_view name, uint64_t size_bytes, BaseEncoding encoding) {
  Type type{.kind = TypeKind::base, .encoding = encoding, .size_bytes = size_bytes, .name = keep(name)};
  auto [at, is_new] =
      known_.try_emplace({.name = type.name, .size_bytes = size_bytes, .kind = type.kind, .encoding = encoding});
  if (is_new) at->second = add(type);
  return at->second;
}

TypeId TypeTableBuilder::pointer_to(TypeId target, PointerForm form, uint64_t size_bytes) {
  auto [at, is_new] = pointers_.try_emplace(pointer_key(target, form, size_bytes));
  if (is_new) {
    at->second = add({.kind = TypeKind::pointer, .form = form, .size_bytes = size_bytes, .target = target});
  }
  return at->second;
}

TypeId TypeTableBuilder::array_of(TypeId element, uint64_t count) {
  const uint64_t each = table_.size_bytes(element);
  if (each != 0 && count > UINT64_MAX / each) count = 0;
  auto [at, is_new] = arrays_.try_emplace({element, count});
  if (is_new) {
    at->second = add({.kind = TypeKind::array, .size_bytes = each * count, .target = element, .count = count});
  }
  return at->second;
}

TypeId TypeTableBuilder::function() {
  auto [at, is_new] = known_.try_emplace(key(TypeKind::function, {}, 0));
  if (is_new) at->second = add({.kind = TypeKind::function});
  return at->second;
}

TypeId TypeTableBuilder::enumeration(std::string_view name, uint64_t size_bytes, TypeId integer) {
  Type type{.kind = TypeKind::enumeration, .size_bytes = size_bytes, .target = integer, .name = keep(name)};
  if (name.empty()) return add(type);
  auto [at, is_new] = known_.try_emplace(key(type.kind, type.name, size_bytes));
  if (is_new) at->second = add(type);
  return at->second;
}

TypeTableBuilder::Opened TypeTableBuilder::open(TypeKind kind, std::string_view name, uint64_t size_bytes) {
  Type type{.kind = kind, .size_bytes = size_bytes, .name = keep(name)};
  if (name.empty()) return {add(type), true};
  auto [at, is_new] = known_.try_emplace(key(kind, type.name, size_bytes));
  if (!is_new) return {at->second, false};
  if (auto declared = declarations_.find(name); declared != declarations_.end()) {
    at->second = declared->second;
    declarations_.erase(declared);
    table_.types_[index(at->second)] = type;
    table_.by_name_.insert_or_assign(type.name, at->second);
  } else {
    at->second = add(type);
  }
  return {at->second, true};
}

TypeId TypeTableBuilder::add_form(std::string_view name, uint64_t size_bytes) {
  return add({.kind = TypeKind::record, .size_bytes = size_bytes, .name = keep(name)});
}

TypeId TypeTableBuilder::declare(std::string_view name) {
  if (auto known = table_.find(name); known && is_compound(table_[*known].kind)) return *known;
  auto [at, is_new] = declarations_.try_emplace(keep(name));
  if (is_new) at->second = add({.kind = TypeKind::declaration, .name = at->first});
  return at->second;
}

void TypeTableBuilder::set_mangled(TypeId id, std::string_view name) {
  if (name.empty()) return;
  Type& type = table_.types_[index(id)];
  type.mangled = keep(name);
  table_.by_mangled_.try_emplace(type.mangled, id);
}

// Whether a value of type `outer` holds one of type `inner`. Types that are filled already hold no circle; what is smaller
// than `inner` cannot hold it.
bool TypeTableBuilder::contains_by_value(TypeId outer, TypeId inner) const {
  if (outer == kNoType || (table_[outer].kind != TypeKind::array && !is_compound(table_[outer].kind))) return false;
  const uint64_t inner_size_bytes = table_[inner].size_bytes;
  std::vector<TypeId> pending = {outer};
  std::unordered_set<uint32_t> seen;
  while (!pending.empty()) {
    TypeId id = pending.back();
    pending.pop_back();
    while (id != kNoType && table_[id].kind == TypeKind::array) id = table_[id].target;
    if (id == kNoType) continue;
    if (id == inner) return true;
    const Type& type = table_[id];
    if (!is_compound(type.kind) || type.size_bytes < inner_size_bytes || !seen.insert(index(id)).second) continue;
    for (const Field& field : table_.fields(id)) pending.push_back(field.type);
  }
  return false;
}

size_t TypeTableBuilder::fill(TypeId id, std::vector<Field> fields, std::vector<TypeId> arguments) {
  const uint64_t size_bytes = table_[id].size_bytes;
  size_t dropped = std::erase_if(fields, [&](const Field& field) {
    if (field.type != kNoType && index(field.type) >= table_.size()) return true;
    if (field.offset_bytes > size_bytes || table_.size_bytes(field.type) > size_bytes - field.offset_bytes) return true;
    return contains_by_value(field.type, id);
  });
  dropped += std::erase_if(arguments,
                           [&](TypeId argument) { return argument != kNoType && index(argument) >= table_.size(); });
  std::ranges::stable_sort(fields, {}, &Field::offset_bytes);
  for (Field& field : fields) field.name = keep(field.name);
  Type& type = table_.types_[index(id)];
  type.first_field = static_cast<uint32_t>(table_.fields_.size());
  type.field_count = static_cast<uint32_t>(fields.size());
  type.first_argument = static_cast<uint32_t>(table_.arguments_.size());
  type.argument_count = static_cast<uint32_t>(arguments.size());
  table_.fields_.insert(table_.fields_.end(), fields.begin(), fields.end());
  table_.arguments_.insert(table_.arguments_.end(), arguments.begin(), arguments.end());
  return dropped;
}

}  // namespace heapwalk
