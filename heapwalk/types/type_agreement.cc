#include "heapwalk/types/type_agreement.h"

#include <algorithm>

namespace heapwalk {
namespace {

constexpr int kMaxFirstMembers = 16;  // a base's base's base

}  // namespace

Agreement TypeAgreement::of(const TypeLayout& layout, Address start) const {
  Agreement agreement;
  const Bytes bytes = dump_->memory.read_exactly(start, layout.size_bytes);
  if (bytes.empty()) return {.contradicted = true};
  for (const PointerSlot& slot : layout.slots) {
    if (slot.is_weak || slot.target == kNoType || slot.offset_bytes + uint64_t{8} > bytes.size()) continue;
    if (slot.is_erased || (slot.guard != Guard::kNone && !layout.holds(slot.guard, bytes.data(), bytes.size())))
      continue;
    const bool is_trait_object =
        slot.range != PointerSlot::kNone && layout.ranges[slot.range].vtable_offset_bytes != ElementRange::kNone;
    if (is_trait_object) continue;  // its type is not the field's
    const uint64_t word = load<uint64_t>(bytes.data() + slot.offset_bytes);
    if (!PointerJudge::is_null(slot, word)) ask(slot, Address{word}, agreement);
    if (agreement.contradicted) break;
  }
  return agreement;
}

void TypeAgreement::ask(const PointerSlot& slot, Address value, Agreement& agreement) const {
  const TypeTable& types = state_->types->table();
  const TypeKind wanted = types[slot.target].kind;
  if (objects_->span().contains(value)) {
    const auto id = objects_->find_used(value);
    if (!id || wanted == TypeKind::function) {
      agreement.contradicted = true;
    } else if (objects_->address(*id) == value && wanted == TypeKind::record) {
      const TypeId known = state_->types->shape_of(*id).element;
      if (known == kNoType) {
        agreement.contradicted = types.size_bytes(slot.target) > objects_->size_bytes(*id);
      } else if (is_or_begins_with(known, slot.target)) {
        ++agreement.objects;
      } else {
        agreement.contradicted = state_->known_strength(index(*id)) < Strength::prefix;
      }
    }
    return;
  }
  const TypeId known = variable_at(value);
  if (known == kNoType) {
    agreement.doubts += dump_->memory.find(value) == nullptr ? 1 : 0;
  } else if (is_or_begins_with(known, slot.target)) {
    ++agreement.variables;
  } else {
    agreement.contradicted = wanted == TypeKind::record;
  }
}

TypeId TypeAgreement::variable_at(Address address) const {
  auto at = std::ranges::lower_bound(variables_, address, {}, &TypedVariable::address);
  return at == variables_.end() || at->address != address ? kNoType : at->type;
}

// An array's first element and a record's first member are where it is; a node has several forms.
bool TypeAgreement::is_or_begins_with(TypeId type, TypeId wanted) const {
  const TypeTable& types = state_->types->table();
  if (state_->types->containers().smallest(type) == wanted) return true;
  for (int i = 0; i < kMaxFirstMembers && type != kNoType; ++i) {
    if (type == wanted) return true;
    if (types[type].kind == TypeKind::array) {
      type = types[type].target;
    } else if (types[type].kind == TypeKind::record && !types.fields(type).empty()) {
      const Field& first = types.fields(type).front();
      if (first.offset_bytes != 0) return false;
      type = first.type;
    } else {
      return false;
    }
  }
  return false;
}

}  // namespace heapwalk
