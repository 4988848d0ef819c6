// Unions: members that are laid out one over the other. The tag beside them, the number of the variant or of the Rust enum
// may say which is there; otherwise, if several have pointers, no reading is certain.
#include <algorithm>
#include <utility>

#include "heapwalk/types/type_flattener.h"

namespace heapwalk {
namespace {

bool is_compound(TypeKind kind) {
  return kind == TypeKind::record || kind == TypeKind::union_;
}

}  // namespace

// An enumeration, or else a small integer, in a record that has a union too.
void TypeFlattener::add_tag(Place& place) {
  const auto fields = types_.fields(place.type);
  const bool has_union = std::ranges::any_of(
      fields, [&](const Field& field) { return field.type != kNoType && types_[field.type].kind == TypeKind::union_; });
  if (!has_union || layout_.tags.size() >= PointerSlot::kNone) return;
  const Field* tag = nullptr;
  for (const Field& field : fields) {
    if (field.type == kNoType || field.is_bit_field) continue;
    const Type& type = types_[field.type];
    const bool is_small = type.size_bytes >= 1 && type.size_bytes <= 4;
    if (is_small && type.kind == TypeKind::enumeration) {
      tag = &field;
      break;
    }
    if (is_small && type.kind == TypeKind::base && type.encoding != BaseEncoding::floating && tag == nullptr)
      tag = &field;
  }
  if (tag == nullptr) return;
  place.tag = static_cast<uint16_t>(layout_.tags.size());
  layout_.tags.push_back(
      {static_cast<uint32_t>(place.offset + tag->offset_bytes), static_cast<uint32_t>(types_.size_bytes(tag->type))});
}

// Members are laid out one over the other. Those with pointers decide; if there are several, no reading is certain,
// unless the choice is written beside it.
void TypeFlattener::lay_union(const Place& place, int depth) {
  for (const Field& field : types_.fields(place.type)) {
    if (field.variant == FieldVariant::discriminant) return lay_variants(place, field, depth);
  }
  if (is_raw_storage(types_[place.type].name)) {
    return mark(place, types_.size_bytes(place.type), EdgeKind::conservative);
  }
  if (place.alternative >= 0) return lay_alternatives(place, depth);
  Place chosen = place;
  add_discriminant(chosen);
  size_t with_pointers = 0;
  for (const Field& field : types_.fields(place.type)) with_pointers += may_point(field.type, depth + 1) ? 1 : 0;
  for (const Field& field : types_.fields(place.type)) {
    Place part = chosen;
    part.weak = place.weak || with_pointers > 1;
    lay_field(part, field, depth);
  }
}

// A Rust enum: its discriminant says which variant is there.
void TypeFlattener::lay_variants(const Place& place, const Field& number, int depth) {
  const uint64_t number_bytes = types_.size_bytes(number.type);
  const uint64_t mask = number_bytes >= 8 ? UINT64_MAX : (uint64_t{1} << 8 * number_bytes) - 1;
  std::vector<uint64_t> values;
  for (const Field& field : types_.fields(place.type)) {
    if (field.variant == FieldVariant::when) values.push_back(field.discriminant & mask);
  }
  size_t next = 0;
  for (const Field& field : types_.fields(place.type)) {
    Place part = place;
    if (field.variant == FieldVariant::when) {
      guard(part, place.offset + number.offset_bytes, number_bytes,
            {.test = Guard::Test::equal, .value = values[next++]});
    } else if (field.variant == FieldVariant::otherwise) {
      guard(part, place.offset + number.offset_bytes, number_bytes, {.test = Guard::Test::none_of, .others = values});
    }
    if (part.guard == place.guard && field.variant != FieldVariant::discriminant) part.weak = true;
    lay_field(part, field, depth);
  }
}

// A Rust enum has its tag among the members, without a name.
void TypeFlattener::add_discriminant(Place& place) {
  for (const Field& field : types_.fields(place.type)) {
    if (!field.name.empty() || field.type == kNoType || types_[field.type].kind != TypeKind::base) continue;
    if (types_.size_bytes(field.type) > 8 || layout_.tags.size() >= PointerSlot::kNone) return;
    place.tag = static_cast<uint16_t>(layout_.tags.size());
    layout_.tags.push_back({static_cast<uint32_t>(place.offset + field.offset_bytes),
                            static_cast<uint32_t>(types_.size_bytes(field.type))});
    return;
  }
}

// Both libraries' variants are the first alternative, and a union of the rest.
void TypeFlattener::lay_alternatives(const Place& place, int depth) {
  for (const Field& field : types_.fields(place.type)) {
    Place part = place;
    if (field.name == place.rule->rest) {
      ++part.alternative;
    } else {
      guard(part, place.choice.offset_bytes, types_.size_bytes(place.choice.type),
            {.test = Guard::Test::equal, .value = static_cast<uint64_t>(place.alternative)});
      part.rule = nullptr;
      part.alternative = -1;
    }
    lay_field(part, field, depth);
  }
}

bool TypeFlattener::may_point(TypeId id, int depth) {
  while (id != kNoType && types_[id].kind == TypeKind::array) id = types_[id].target;
  if (id == kNoType || depth > kMaxLayoutDepth || ++steps_ > kMaxLayoutSteps) return true;
  const Type& type = types_[id];
  if (type.kind == TypeKind::pointer) return true;
  if (!is_compound(type.kind)) return false;
  for (const Field& field : types_.fields(id)) {
    if (may_point(field.type, depth + 1)) return true;
  }
  return false;
}

}  // namespace heapwalk
