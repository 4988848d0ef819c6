#include "heapwalk/roots/static_values.h"

#include <algorithm>

#include <fmt/format.h>

namespace heapwalk {
namespace {

constexpr int kMaxDepth = 16;       // of values that only other such values lead to, and of records in records
constexpr size_t kMaxHolders = 16;  // that are asked for a name

// The member that covers the offset, which becomes the one inside; null: none does.
const Field* member_at(const TypeTable& types, TypeId record, uint64_t& offset_bytes) {
  for (const Field& field : types.fields(record)) {
    const uint64_t size_bytes = types.size_bytes(field.type);
    if (field.type == kNoType || offset_bytes < field.offset_bytes || offset_bytes - field.offset_bytes >= size_bytes)
      continue;
    offset_bytes -= field.offset_bytes;
    return &field;
  }
  return nullptr;
}

// Go's slices, and their elements.
bool is_slice(const TypeTable& types, TypeId type) {
  const auto fields = types.fields(type);
  return types[type].name.starts_with("[]") && fields.size() == 3 && fields[0].name == "array";
}

}  // namespace

bool is_nameless_value(std::string_view symbol) {
  return symbol.find("..stmp_") != std::string_view::npos;
}

const StaticValues::Value& StaticValues::at(AddressRange range) {
  collect();
  find(range, 0);
  return known_[range.begin.value];
}

void StaticValues::collect() {
  if (std::exchange(is_collected_, true)) return;
  for (const ModuleSegment& segment : module_.segments) {
    if (!segment.writable && !segment.relro) continue;
    const Bytes bytes = memory_.read(segment.range.begin, segment.range.size_bytes());
    for (size_t offset = 0; offset + 8 <= bytes.size(); offset += 8) {
      const Address value{load<uint64_t>(bytes.data() + offset)};
      if (!module_.range.contains(value)) continue;
      const Symbol* symbol = module_.find_symbol(value);
      if (symbol == nullptr || module_.to_runtime(symbol->link_address) != value || !is_nameless_value(symbol->name))
        continue;
      words_.emplace(value.value, segment.range.begin + offset);
    }
  }
}

StaticValues::Value StaticValues::find(AddressRange range, int depth) {
  if (depth > kMaxDepth) return {};
  const auto [known, is_new] = known_.try_emplace(range.begin.value);  // each once, also where they lead in a circle
  if (!is_new) return known->second;
  Value best;
  const auto [first, last] = words_.equal_range(range.begin.value);
  size_t asked = 0;
  for (auto word = first; word != last && asked < kMaxHolders; ++word, ++asked) {
    Place place;
    if (!place_of(word->second, depth, place)) continue;
    Value value = value_behind(std::move(place), range.size_bytes());
    if (value.name.empty()) continue;
    if (best.name.empty() || value.name.size() < best.name.size()) best = std::move(value);
  }
  return known_[range.begin.value] = std::move(best);
}

bool StaticValues::place_of(Address word, int depth, Place& place) {
  if (const Variable* variable = variables_.find(word)) {
    place = {variable->name, false, variable->source, variable->type, word - variable->address};
    return true;
  }
  const Symbol* symbol = module_.find_symbol(word);
  if (symbol == nullptr || !is_nameless_value(symbol->name)) return false;
  const auto range = AddressRange::of(module_.to_runtime(symbol->link_address), symbol->size_bytes);
  if (!range.contains(word)) return false;
  Value value = find(range, depth + 1);
  if (value.name.empty() || value.type == kNoType) return false;
  const bool is_pointed_to = value.name.starts_with('*');
  place = {value.name.substr(is_pointed_to ? 1 : 0), is_pointed_to, value.source, value.type, word - range.begin};
  return true;
}

// Down to the pointer that the word is.
StaticValues::Value StaticValues::value_behind(Place place, uint64_t size_bytes) const {
  const TypeTable& types = types_.table();
  TypeId type = place.type;
  for (int depth = 0; type != kNoType && depth < kMaxDepth; ++depth) {
    if (types[type].kind == TypeKind::pointer) {
      if (place.offset_bytes != 0) break;
      const TypeId target = types[type].target;
      const bool fits = target != kNoType && types.size_bytes(target) > 0 && types.size_bytes(target) <= size_bytes;
      return {"*" + place.path, place.source, fits ? target : kNoType};
    }
    if (types[type].kind == TypeKind::array) {
      const uint64_t each = types.size_bytes(types[type].target);
      if (each == 0) break;
      place.path += "[…]";
      place.offset_bytes %= each;
      type = types[type].target;
      continue;
    }
    if (types[type].kind != TypeKind::record) break;
    const bool is_elements = is_slice(types, type) && place.offset_bytes == 0;
    const Field* field = member_at(types, type, place.offset_bytes);
    if (field == nullptr) break;
    if (is_elements) {
      const TypeId element = types[field->type].kind == TypeKind::pointer ? types[field->type].target : kNoType;
      const uint64_t each = types.size_bytes(element);
      return {place.path + "[…]", place.source, each == 0 ? kNoType : types_.array_of(element, size_bytes / each)};
    }
    place.path += fmt::format(".{}", field->name);
    type = field->type;
  }
  return {place.path, place.source, kNoType};
}

}  // namespace heapwalk
