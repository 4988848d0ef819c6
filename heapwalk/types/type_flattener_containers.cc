// What a container's row (container_rules.h) says about its words: where its elements are and how many, what it counts,
// which of its own pointers mean nothing, and what is there only at times.
#include <algorithm>
#include <bit>
#include <utility>

#include "heapwalk/types/element_ranges.h"
#include "heapwalk/types/template_names.h"
#include "heapwalk/types/type_flattener.h"

namespace heapwalk {
namespace {

constexpr size_t kMaxContainers = 256;  // counted in one value
constexpr uint64_t kMaxInside = 1024;   // elements inside a container

}  // namespace

void TypeFlattener::enter_container(Place& place, const ContainerRule& rule) {
  place.rule = &rule;
  place.container = place.type;
  place.container_offset = place.offset;
  place.element = containers_.element(rule, place.type);
  const auto first = find_member(types_, place.type, rule.first);
  place.first_offset = first ? place.offset + first->offset_bytes : UINT64_MAX;
  place.outer_guard = place.guard;
  add_guard(rule, place);
}

// One of the container's words: not of an element that is kept in the same place at times.
bool TypeFlattener::is_own(const PointerSlot& slot, const Place& container) {
  return container.rule->inside.empty() || slot.guard == container.guard;
}

void TypeFlattener::find_element_range(const Place& place, const ContainerRule& rule, size_t first_slot) {
  const TypeId bucket = containers_.bucket(rule, place.type);
  for (const PlacedRange& placed : place_ranges(types_, rule, place.type, place.offset)) {
    const uint32_t pointer = placed.pointer_offset_bytes;
    if (placed.range.vtable_offset_bytes != ElementRange::kNone) erase_readings(place, pointer, first_slot);
    if (placed.range.more != 0) {
      if (bucket == kNoType) continue;
      for (size_t i = first_slot; i < layout_.slots.size(); ++i) {
        if (layout_.slots[i].offset_bytes == pointer) layout_.slots[i].target = bucket;
      }
    }
    add_range(place, pointer, first_slot, placed.range);
  }
}

// The bytes that say which elements are in use are no elements.
void TypeFlattener::forget_control(const Place& place, const ContainerRule& rule, size_t first_slot) {
  const auto control = find_member(types_, place.type, rule.control);
  if (!control || rule.is_behind_control) return;
  layout_.slots.erase(std::remove_if(layout_.slots.begin() + static_cast<ptrdiff_t>(first_slot), layout_.slots.end(),
                                     [&](const PointerSlot& slot) {
                                       return is_own(slot, place) &&
                                              slot.offset_bytes == place.offset + control->offset_bytes;
                                     }),
                      layout_.slots.end());
}

// A map is known as std::map, not as the _Rb_tree that fills it; a vector in a tuple as a vector.
TypeId TypeFlattener::shown_of(const Place& record, const Field& field) const {
  if (!is_container_shell(types_, record.type, field)) return kNoType;
  const std::string_view of = template_name(types_[record.type].name);
  const size_t scope = of.rfind("::");
  const bool is_inner = of.substr(scope == std::string_view::npos ? 0 : scope + 2).starts_with('_');
  return record.shown != kNoType || is_inner ? record.shown : record.type;
}

void TypeFlattener::describe_node(TypeId type) {
  const ContainerRule* rule = containers_.rule_of(type);
  layout_.is_node = rule != nullptr && (!rule->storage.empty() || !rule->filled.empty());
  if (!layout_.is_node) return;
  if (const auto filled = find_member(types_, type, rule->filled)) {
    layout_.filled_offset_bytes = static_cast<uint32_t>(filled->offset_bytes);
    layout_.filled_bytes = static_cast<uint8_t>(std::min<uint64_t>(types_.size_bytes(filled->type), 8));
  }
}

void TypeFlattener::add_container(const Place& place, const ContainerRule& rule, size_t first_slot) {
  if (layout_.containers.size() >= kMaxContainers) return;
  ContainerPlace found = place_container(types_, rule, place.type, static_cast<uint32_t>(place.offset));
  if (place.shown != kNoType) found.shown = place.shown;
  found.guard = place.outer_guard;
  for (size_t i = first_slot; i < layout_.slots.size(); ++i) {
    const PointerSlot& slot = layout_.slots[i];
    if (!is_own(slot, place)) continue;
    const ContainerRule* of_target = containers_.rule_of(slot.target);
    const bool is_node = of_target != nullptr && (!of_target->storage.empty() || !of_target->filled.empty());
    if (slot.offset_bytes == found.first) {
      found.element = slot.target;
    } else if (found.first == ElementRange::kNone && found.node == ElementRange::kNone && is_node) {
      found.node = slot.offset_bytes;
      found.element = found.linked = slot.target;
    }
  }
  if (const TypeId bucket = containers_.bucket(rule, place.type); bucket != kNoType) {
    found.node = found.buckets;
    found.element = containers_.node(rule, place.type);
    found.linked = bucket;
  }
  if (found.linked == kNoType && found.buckets != ElementRange::kNone) link_to_buckets(found, first_slot);
  found.inside_elements = find_inside(types_, rule, place.type, found.element).elements;
  if (found.says_size()) layout_.containers.push_back(found);
}

// No word leads to a node, but one to buckets that have a type of their own.
void TypeFlattener::link_to_buckets(ContainerPlace& found, size_t first_slot) const {
  for (size_t i = first_slot; i < layout_.slots.size(); ++i) {
    const PointerSlot& slot = layout_.slots[i];
    if (slot.offset_bytes == found.buckets && slot.target != kNoType)
      found.node = found.buckets, found.linked = slot.target;
  }
}

// A deque's pointers to the first and behind the last element may lead to the start of a block, too.
void TypeFlattener::add_range(const Place& container, uint64_t pointer_offset, size_t first_slot,
                              const ElementRange& range) {
  if (layout_.ranges.size() >= PointerSlot::kNone) return;
  const bool has_begin = range.begin_offset_bytes != ElementRange::kNone;
  for (size_t i = first_slot; i < layout_.slots.size(); ++i) {
    PointerSlot& slot = layout_.slots[i];
    if (!is_own(slot, container)) continue;
    const bool is_edge =
        has_begin && (slot.offset_bytes == range.begin_offset_bytes || slot.offset_bytes == range.end_offset_bytes);
    if (slot.offset_bytes == pointer_offset || (is_edge && slot.range == PointerSlot::kNone)) {
      slot.range = static_cast<uint16_t>(layout_.ranges.size());
    }
  }
  layout_.ranges.push_back(range);
}

// The elements that a container keeps inside, as many as it says it has.
bool TypeFlattener::lay_inside(const Place& container, uint64_t offset, int depth) {
  const ContainerRule& rule = *container.rule;
  const InsideRoom room = find_inside(types_, rule, container.container, container.element);
  const auto count = find_member(types_, container.container, rule.count.empty() ? rule.size : rule.count);
  if (room.elements == 0 || !count || offset != container.container_offset + room.offset_bytes) return false;
  Place part = {.type = container.element, .offset = offset, .weak = container.weak, .guard = container.outer_guard};
  guard_inside(part, container, room.elements, true);
  const uint64_t each = types_.size_bytes(part.type);
  const Type& element = types_[part.type];
  if (element.kind == TypeKind::base || element.kind == TypeKind::enumeration) {
    mark(part, room.elements * each, element.kind == TypeKind::base ? kind_of(element) : EdgeKind::tainted);
    return true;
  }
  for (uint64_t i = 0; i < room.elements && i < kMaxInside; ++i) {
    Place value = part;
    value.offset += i * each;
    guard(value, container.container_offset + count->offset_bytes, types_.size_bytes(count->type),
          {.test = Guard::Test::above, .value = ((i + 1) << rule.size_shift) - 1});
    lay(value, depth + 1);
  }
  return true;
}

// Whether the elements are inside, or else elsewhere.
void TypeFlattener::guard_inside(Place& place, const Place& container, uint64_t elements, bool inside) {
  const ContainerRule& rule = *container.rule;
  if (const auto is_long = find_member(types_, container.container, rule.is_long)) {
    const uint64_t bit = is_long->offset_bytes == 0 ? 0x01 : 0x80;
    guard(place, container.container_offset + is_long->offset_bytes, 1,
          {.test = inside ? Guard::Test::equal : Guard::Test::not_zero, .mask = bit});
  } else if (const auto capacity = find_member(types_, container.container, rule.capacity)) {
    guard(place, container.container_offset + capacity->offset_bytes, types_.size_bytes(capacity->type),
          {.test = inside ? Guard::Test::at_most : Guard::Test::above,
           .mask = rule.capacity_mask(),
           .value = rule.capacity_bits != 0 ? std::bit_width(elements) : elements});
  }
}

void TypeFlattener::add_guard(const ContainerRule& rule, Place& place) {
  const uint64_t inside = find_inside(types_, rule, place.container, place.element).elements;
  if (inside > 0 || !rule.is_long.empty()) return guard_inside(place, place, inside, false);
  if (const auto engaged = find_member(types_, place.type, rule.engaged)) {
    guard(place, place.offset + engaged->offset_bytes, types_.size_bytes(engaged->type), {});
  } else if (const auto choice = find_member(types_, place.type, rule.choice)) {
    place.choice = {choice->type, place.offset + choice->offset_bytes};
    place.alternative = 0;
  }
}

// `void* or whatever is small enough`: no reading of the word is better than another.
void TypeFlattener::erase_readings(const Place& place, uint32_t offset, size_t first_slot) {
  const auto begin = layout_.slots.begin() + static_cast<ptrdiff_t>(first_slot);
  auto is_reading = [&](const PointerSlot& slot) {
    return slot.offset_bytes == offset && (slot.is_weak || slot.target == kNoType);
  };
  const auto first = std::find_if(begin, layout_.slots.end(), is_reading);
  if (first == layout_.slots.end()) return;
  PointerSlot slot = *first;
  layout_.slots.erase(std::remove_if(first, layout_.slots.end(), is_reading), layout_.slots.end());
  slot.target = place.type;  // of no meaning but that it is not nothing
  slot.is_container = slot.is_erased = true;
  slot.is_weak = false;
  layout_.slots.push_back(slot);
}

}  // namespace heapwalk
