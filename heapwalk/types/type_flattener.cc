#include "heapwalk/types/type_flattener.h"

#include <algorithm>
#include <utility>

namespace heapwalk {
namespace {

constexpr uint64_t kMaxBytes = 1 << 20;  // of a type that is laid out
constexpr uint8_t kUnset = 0xff;

}  // namespace

bool is_raw_storage(std::string_view name) {
  if (name.starts_with("boost::")) return name.find("::aligned_st") != std::string_view::npos;
  return name.ends_with(">::type") && name.starts_with("std::") &&
         name.find("aligned_storage<") != std::string_view::npos;
}

TypeLayout TypeFlattener::run(TypeId type) {
  layout_.size_bytes = types_.size_bytes(type);
  if (layout_.size_bytes > kMaxBytes) return all_conservative();
  words_.assign((layout_.size_bytes + 7) / 8, kUnset);
  lay({.type = type}, 0);
  if (steps_ > kMaxLayoutSteps) return all_conservative();
  collect_kinds();
  layout_.has_open_end = has_open_end(type);
  describe_node(type);
  std::ranges::stable_sort(layout_.slots, {}, &PointerSlot::offset_bytes);
  return std::move(layout_);
}

TypeLayout TypeFlattener::all_conservative() const {
  TypeLayout layout;
  layout.size_bytes = layout_.size_bytes;
  const auto end = static_cast<uint32_t>(std::min<uint64_t>(layout_.size_bytes, UINT32_MAX));
  layout.kinds.push_back({0, end, EdgeKind::conservative});
  return layout;
}

// The better kind of several in one word wins.
void TypeFlattener::mark(const Place& place, uint64_t size_bytes, EdgeKind kind) {
  const uint64_t offset = place.offset;
  if (place.guard != PointerSlot::kNone) return mark_guarded(place, size_bytes, kind);
  for (uint64_t word = offset / 8; word * 8 < offset + size_bytes && word < words_.size(); ++word) {
    words_[word] = std::min(words_[word], static_cast<uint8_t>(kind));
  }
}

void TypeFlattener::mark_guarded(const Place& place, uint64_t size_bytes, EdgeKind kind) {
  const auto begin = static_cast<uint32_t>(place.offset / 8 * 8);
  const auto end = static_cast<uint32_t>(std::min((place.offset + size_bytes + 7) / 8 * 8, layout_.size_bytes));
  if (kind == EdgeKind::tainted || begin >= end) return;
  GuardedRange* last = layout_.guarded.empty() ? nullptr : &layout_.guarded.back();
  if (last != nullptr && last->guard == place.guard && last->kind == kind && last->end == begin) {
    last->end = end;
  } else {
    layout_.guarded.push_back({begin, end, kind, place.guard});
  }
}

// Types nest a few dozen deep at most, and deeper ones are conservative: the depth bounds the recursion.
void TypeFlattener::lay(Place place, int depth) {
  if (++steps_ > kMaxLayoutSteps) return;
  const uint64_t size_bytes = types_.size_bytes(place.type);
  if (place.type == kNoType || depth > kMaxLayoutDepth) {
    mark(place, std::max<uint64_t>(size_bytes, 1), EdgeKind::conservative);
    return;
  }
  const Type& type = types_[place.type];
  switch (type.kind) {
    case TypeKind::pointer:
      return lay_pointer(place, type);
    case TypeKind::array:
      return lay_array(place, type, depth);
    case TypeKind::record:
      return lay_record(place, depth);
    case TypeKind::union_:
      return lay_union(place, depth);
    case TypeKind::base:
      return mark(place, size_bytes, kind_of(type));
    case TypeKind::enumeration:
      return mark(place, size_bytes, EdgeKind::tainted);
    default:
      return mark(place, size_bytes, EdgeKind::conservative);
  }
}

EdgeKind TypeFlattener::kind_of(const Type& base) {
  const bool is_number = base.encoding == BaseEncoding::signed_integer ||
                         base.encoding == BaseEncoding::unsigned_integer || base.encoding == BaseEncoding::other;
  return is_number && base.size_bytes >= 8 ? EdgeKind::conservative : EdgeKind::tainted;
}

void TypeFlattener::lay_pointer(const Place& place, const Type& type) {
  if (place.offset % 8 != 0 || type.size_bytes != 8) return mark(place, type.size_bytes, EdgeKind::tainted);
  mark(place, 8, place.weak ? EdgeKind::conservative : EdgeKind::exact);
  PointerSlot slot;
  slot.offset_bytes = static_cast<uint32_t>(place.offset);
  slot.target = type.target;
  slot.is_weak = place.weak;
  slot.is_single = type.form != PointerForm::star;
  slot.guard = place.guard;
  if (place.weak) slot.tag = place.tag;
  if (place.rule != nullptr) {
    slot.is_container = true;
    slot.target = place.offset == place.first_offset && place.element != kNoType
                      ? place.element
                      : containers_.refine(*place.rule, place.container, type.target);
  }
  slot.target = containers_.described(slot.target);
  layout_.slots.push_back(slot);
}

void TypeFlattener::lay_array(const Place& place, const Type& type, int depth) {
  const uint64_t each = types_.size_bytes(type.target);
  if (each == 0) return mark(place, type.size_bytes, EdgeKind::conservative);
  const Type& element = types_[type.target];
  if (element.kind == TypeKind::base || element.kind == TypeKind::enumeration) {
    return mark(place, type.size_bytes, element.kind == TypeKind::base ? kind_of(element) : EdgeKind::tainted);
  }
  const std::optional<Member> filled = filled_count(place);
  for (uint64_t i = 0; i < type.count && steps_ <= kMaxLayoutSteps; ++i) {
    Place part = place;
    part.type = type.target;
    part.offset += i * each;
    if (filled) guard_element(part, *filled, i);
    lay(part, depth + 1);
  }
}

// Where the number of elements in use is, of an array in a container that keeps one.
std::optional<Member> TypeFlattener::filled_count(const Place& array) const {
  if (array.rule == nullptr || array.rule->filled.empty()) return std::nullopt;
  auto count = find_member(types_, array.container, array.rule->filled);
  if (count) count->offset_bytes += array.container_offset;
  return count;
}

void TypeFlattener::guard_element(Place& part, const Member& count, uint64_t i) {
  const uint8_t more = part.rule->filled_more;
  if (more == 0) part.rule = nullptr;  // arrays inside the elements are full
  if (i >= more)
    guard(part, count.offset_bytes, types_.size_bytes(count.type), {.test = Guard::Test::above, .value = i - more});
}

// What is laid out at the place from here on is there only if the number says so.
void TypeFlattener::guard(Place& place, uint64_t number_offset, uint64_t number_bytes, Guard guard) {
  const bool is_number = number_bytes == 1 || number_bytes == 2 || number_bytes == 4 || number_bytes == 8;
  if (!is_number || layout_.guards.size() >= Guard::kNone) return;
  guard.offset_bytes = static_cast<uint32_t>(number_offset);
  guard.size_bytes = static_cast<uint8_t>(number_bytes);
  guard.outer = place.guard;
  place.guard = static_cast<uint16_t>(layout_.guards.size());
  layout_.guards.push_back(std::move(guard));
}

void TypeFlattener::lay_record(const Place& place, int depth) {
  if (is_raw_storage(types_[place.type].name)) {
    return mark(place, types_.size_bytes(place.type), EdgeKind::conservative);
  }
  Place inner = place;
  const ContainerRule* rule = containers_.rule_of(place.type);
  const bool is_container = rule != nullptr && (place.rule == nullptr || place.rule->instead_of != rule->record);
  if (is_container) enter_container(inner, *rule);
  add_tag(inner);
  const size_t first_slot = layout_.slots.size();
  for (const Field& field : types_.fields(place.type)) lay_field(inner, field, depth);
  if (is_container) find_element_range(inner, *rule, first_slot);
  if (is_container && !place.weak) add_container(inner, *rule, first_slot);
  if (is_container) forget_control(inner, *rule, first_slot);
}

// C99's `item items[]`; items[0] and items[1] before it. Rust's ArcInner<[T]>.
bool TypeFlattener::has_open_end(TypeId id) const {
  if (id == kNoType || types_[id].kind != TypeKind::record || types_.fields(id).empty()) return false;
  const Field& last = types_.fields(id).back();
  if (last.type == kNoType) return false;
  return types_[last.type].kind == TypeKind::array && types_[last.type].count <= 1;
}

void TypeFlattener::lay_field(const Place& record, const Field& field, int depth) {
  if (record.offset + field.offset_bytes == 0 && field.name.starts_with("_vptr")) layout_.is_polymorphic = true;
  Place part = record;
  part.offset += field.offset_bytes;
  part.type = field.type;
  part.shown = shown_of(record, field);
  if (field.is_bit_field) return mark(part, 1, EdgeKind::tainted);
  if (record.rule != nullptr && is_one_of(field.name, record.rule->inside) && lay_inside(record, part.offset, depth))
    return;
  if (record.rule != nullptr) {
    const TypeId stored = containers_.storage(*record.rule, record.container, field.name);
    if (stored != kNoType && types_.size_bytes(stored) <= types_.size_bytes(field.type)) {
      part = {.type = stored, .offset = part.offset, .weak = record.weak, .guard = record.guard};
    }
  }
  lay(part, depth + 1);
}

void TypeFlattener::collect_kinds() {
  for (size_t word = 0; word < words_.size(); ++word) {
    const EdgeKind kind = words_[word] == kUnset ? EdgeKind::tainted : static_cast<EdgeKind>(words_[word]);
    const auto begin = static_cast<uint32_t>(word * 8);
    const auto end = static_cast<uint32_t>(std::min<uint64_t>(begin + 8, layout_.size_bytes));
    if (!layout_.kinds.empty() && layout_.kinds.back().kind == kind) {
      layout_.kinds.back().end = end;
    } else {
      layout_.kinds.push_back({begin, end, kind});
    }
  }
}

}  // namespace heapwalk
