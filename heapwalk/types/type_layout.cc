#include "heapwalk/types/type_layout.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "heapwalk/types/element_ranges.h"
#include "heapwalk/types/member_path.h"
#include "heapwalk/types/template_names.h"

namespace heapwalk {
namespace {

constexpr uint64_t kMaxBytes = 1 << 20;  // of a type that is laid out
constexpr size_t kMaxSteps = 1 << 18;    // of members looked at for one layout
constexpr int kMaxDepth = 64;

constexpr size_t kMaxContainers = 256;  // counted in one value
constexpr uint64_t kMaxInside = 1024;   // elements inside a container

constexpr uint8_t kUnset = 0xff;

bool is_compound(TypeKind kind) {
  return kind == TypeKind::record || kind == TypeKind::union_;
}

class Flattener {
 public:
  Flattener(const TypeTable& types, const Containers& containers) : types_(types), containers_(containers) {}

  TypeLayout run(TypeId type) {
    layout_.size_bytes = types_.size_bytes(type);
    if (layout_.size_bytes > kMaxBytes) return all_conservative();
    words_.assign((layout_.size_bytes + 7) / 8, kUnset);
    lay({.type = type}, 0);
    if (steps_ > kMaxSteps) return all_conservative();
    collect_kinds();
    layout_.has_open_end = has_open_end(type);
    describe_node(type);
    std::ranges::stable_sort(layout_.slots, {}, &PointerSlot::offset_bytes);
    return std::move(layout_);
  }

 private:
  struct Place {
    TypeId type = kNoType;
    uint64_t offset = 0;
    const ContainerRule* rule = nullptr;  // of the container around
    TypeId container = kNoType;
    TypeId shown = kNoType;  // the library's record around, if this is its implementation
    uint64_t container_offset = 0;
    TypeId element = kNoType;                   // of the container around, if its row says by which argument …
    uint64_t first_offset = UINT64_MAX;         // … and where the pointer to them is
    bool weak = false;                          // in a union whose members disagree
    uint16_t guard = PointerSlot::kNone;        // of the optional or variant around
    uint16_t outer_guard = PointerSlot::kNone;  // of the container around
    uint16_t tag = PointerSlot::kNone;          // of the union around
    int alternative = -1;                       // of the variant around, as far as it is counted; -1: none
    Member choice = {};                         // its number of the alternative in use
  };

  TypeLayout all_conservative() const {
    TypeLayout layout;
    layout.size_bytes = layout_.size_bytes;
    const auto end = static_cast<uint32_t>(std::min<uint64_t>(layout_.size_bytes, UINT32_MAX));
    layout.kinds.push_back({0, end, EdgeKind::conservative});
    return layout;
  }

  // The better kind of several in one word wins.
  void mark(const Place& place, uint64_t size_bytes, EdgeKind kind) {
    const uint64_t offset = place.offset;
    if (place.guard != PointerSlot::kNone) return mark_guarded(place, size_bytes, kind);
    for (uint64_t word = offset / 8; word * 8 < offset + size_bytes && word < words_.size(); ++word) {
      words_[word] = std::min(words_[word], static_cast<uint8_t>(kind));
    }
  }

  void mark_guarded(const Place& place, uint64_t size_bytes, EdgeKind kind) {
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
  void lay(Place place, int depth) {
    if (++steps_ > kMaxSteps) return;
    const uint64_t size_bytes = types_.size_bytes(place.type);
    if (place.type == kNoType || depth > kMaxDepth) {
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

  static EdgeKind kind_of(const Type& base) {
    const bool is_number = base.encoding == BaseEncoding::signed_integer ||
                           base.encoding == BaseEncoding::unsigned_integer || base.encoding == BaseEncoding::other;
    return is_number && base.size_bytes >= 8 ? EdgeKind::conservative : EdgeKind::tainted;
  }

  void lay_pointer(const Place& place, const Type& type) {
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

  void lay_array(const Place& place, const Type& type, int depth) {
    const uint64_t each = types_.size_bytes(type.target);
    if (each == 0) return mark(place, type.size_bytes, EdgeKind::conservative);
    const Type& element = types_[type.target];
    if (element.kind == TypeKind::base || element.kind == TypeKind::enumeration) {
      return mark(place, type.size_bytes, element.kind == TypeKind::base ? kind_of(element) : EdgeKind::tainted);
    }
    const std::optional<Member> filled = filled_count(place);
    for (uint64_t i = 0; i < type.count && steps_ <= kMaxSteps; ++i) {
      Place part = place;
      part.type = type.target;
      part.offset += i * each;
      if (filled) guard_element(part, *filled, i);
      lay(part, depth + 1);
    }
  }

  // Where the number of elements in use is, of an array in a container that keeps one.
  std::optional<Member> filled_count(const Place& array) const {
    if (array.rule == nullptr || array.rule->filled.empty()) return std::nullopt;
    auto count = find_member(types_, array.container, array.rule->filled);
    if (count) count->offset_bytes += array.container_offset;
    return count;
  }

  void guard_element(Place& part, const Member& count, uint64_t i) {
    const uint8_t more = part.rule->filled_more;
    if (more == 0) part.rule = nullptr;  // arrays inside the elements are full
    if (i >= more)
      guard(part, count.offset_bytes, types_.size_bytes(count.type), {.test = Guard::Test::above, .value = i - more});
  }

  // What is laid out at the place from here on is there only if the number says so.
  void guard(Place& place, uint64_t number_offset, uint64_t number_bytes, Guard guard) {
    const bool is_number = number_bytes == 1 || number_bytes == 2 || number_bytes == 4 || number_bytes == 8;
    if (!is_number || layout_.guards.size() >= Guard::kNone) return;
    guard.offset_bytes = static_cast<uint32_t>(number_offset);
    guard.size_bytes = static_cast<uint8_t>(number_bytes);
    guard.outer = place.guard;
    place.guard = static_cast<uint16_t>(layout_.guards.size());
    layout_.guards.push_back(std::move(guard));
  }

  // Room for a value of some type or other.
  static bool is_raw_storage(std::string_view name) {
    if (name.starts_with("boost::")) return name.find("::aligned_st") != std::string_view::npos;
    return name.ends_with(">::type") && name.starts_with("std::") &&
           name.find("aligned_storage<") != std::string_view::npos;
  }

  void lay_record(const Place& place, int depth) {
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

  // One of the container's words: not of an element that is kept in the same place at times.
  static bool is_own(const PointerSlot& slot, const Place& container) {
    return container.rule->inside.empty() || slot.guard == container.guard;
  }

  void enter_container(Place& place, const ContainerRule& rule) {
    place.rule = &rule;
    place.container = place.type;
    place.container_offset = place.offset;
    place.element = containers_.element(rule, place.type);
    const auto first = find_member(types_, place.type, rule.first);
    place.first_offset = first ? place.offset + first->offset_bytes : UINT64_MAX;
    place.outer_guard = place.guard;
    add_guard(rule, place);
  }

  // C99's `item items[]`; items[0] and items[1] before it. Rust's ArcInner<[T]>.
  bool has_open_end(TypeId id) const {
    if (id == kNoType || types_[id].kind != TypeKind::record || types_.fields(id).empty()) return false;
    const Field& last = types_.fields(id).back();
    if (last.type == kNoType) return false;
    return types_[last.type].kind == TypeKind::array && types_[last.type].count <= 1;
  }

  void lay_field(const Place& record, const Field& field, int depth) {
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

  void find_element_range(const Place& place, const ContainerRule& rule, size_t first_slot) {
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
  void forget_control(const Place& place, const ContainerRule& rule, size_t first_slot) {
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
  TypeId shown_of(const Place& record, const Field& field) const {
    if (!is_container_shell(types_, record.type, field)) return kNoType;
    const std::string_view of = template_name(types_[record.type].name);
    const size_t scope = of.rfind("::");
    const bool is_inner = of.substr(scope == std::string_view::npos ? 0 : scope + 2).starts_with('_');
    return record.shown != kNoType || is_inner ? record.shown : record.type;
  }

  void describe_node(TypeId type) {
    const ContainerRule* rule = containers_.rule_of(type);
    layout_.is_node = rule != nullptr && (!rule->storage.empty() || !rule->filled.empty());
    if (!layout_.is_node) return;
    if (const auto filled = find_member(types_, type, rule->filled)) {
      layout_.filled_offset_bytes = static_cast<uint32_t>(filled->offset_bytes);
      layout_.filled_bytes = static_cast<uint8_t>(std::min<uint64_t>(types_.size_bytes(filled->type), 8));
    }
  }

  void add_container(const Place& place, const ContainerRule& rule, size_t first_slot) {
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
  void link_to_buckets(ContainerPlace& found, size_t first_slot) const {
    for (size_t i = first_slot; i < layout_.slots.size(); ++i) {
      const PointerSlot& slot = layout_.slots[i];
      if (slot.offset_bytes == found.buckets && slot.target != kNoType)
        found.node = found.buckets, found.linked = slot.target;
    }
  }

  // `void* or whatever is small enough`: no reading of the word is better than another.
  void erase_readings(const Place& place, uint32_t offset, size_t first_slot) {
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

  // A deque's pointers to the first and behind the last element may lead to the start of a block, too.
  void add_range(const Place& container, uint64_t pointer_offset, size_t first_slot, const ElementRange& range) {
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

  // An enumeration, or else a small integer, in a record that has a union too.
  void add_tag(Place& place) {
    const auto fields = types_.fields(place.type);
    const bool has_union = std::ranges::any_of(fields, [&](const Field& field) {
      return field.type != kNoType && types_[field.type].kind == TypeKind::union_;
    });
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

  // The elements that a container keeps inside, as many as it says it has.
  bool lay_inside(const Place& container, uint64_t offset, int depth) {
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
  void guard_inside(Place& place, const Place& container, uint64_t elements, bool inside) {
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

  void add_guard(const ContainerRule& rule, Place& place) {
    const uint64_t inside = find_inside(types_, rule, place.container, place.element).elements;
    if (inside > 0 || !rule.is_long.empty()) return guard_inside(place, place, inside, false);
    if (const auto engaged = find_member(types_, place.type, rule.engaged)) {
      guard(place, place.offset + engaged->offset_bytes, types_.size_bytes(engaged->type), {});
    } else if (const auto choice = find_member(types_, place.type, rule.choice)) {
      place.choice = {choice->type, place.offset + choice->offset_bytes};
      place.alternative = 0;
    }
  }

  // Members are laid out one over the other. Those with pointers decide; if there are several, no reading is certain,
  // unless the choice is written beside it.
  void lay_union(const Place& place, int depth) {
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
  void lay_variants(const Place& place, const Field& number, int depth) {
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
  void add_discriminant(Place& place) {
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
  void lay_alternatives(const Place& place, int depth) {
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

  bool may_point(TypeId id, int depth) {
    while (id != kNoType && types_[id].kind == TypeKind::array) id = types_[id].target;
    if (id == kNoType || depth > kMaxDepth || ++steps_ > kMaxSteps) return true;
    const Type& type = types_[id];
    if (type.kind == TypeKind::pointer) return true;
    if (!is_compound(type.kind)) return false;
    for (const Field& field : types_.fields(id)) {
      if (may_point(field.type, depth + 1)) return true;
    }
    return false;
  }

  void collect_kinds() {
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

  const TypeTable& types_;
  const Containers& containers_;
  TypeLayout layout_;
  std::vector<uint8_t> words_;  // by word: the best kind so far
  size_t steps_ = 0;
};

}  // namespace

const TypeLayout& TypeLayouts::of(TypeId type) {
  auto [at, is_new] = layouts_.try_emplace(type);
  if (is_new) at->second = Flattener(*types_, *containers_).run(type);
  return at->second;
}

}  // namespace heapwalk
