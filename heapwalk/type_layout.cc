#include "heapwalk/type_layout.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace heapwalk {
namespace {

constexpr uint64_t kMaxBytes = 1 << 20;  // of a type that is laid out
constexpr size_t kMaxSteps = 1 << 18;    // of members looked at for one layout
constexpr int kMaxDepth = 64;
constexpr size_t kMaxMembers = 64;  // of a container, bases and implementation records included

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
    std::ranges::stable_sort(layout_.slots, {}, &PointerSlot::offset_bytes);
    return std::move(layout_);
  }

 private:
  struct Place {
    TypeId type = kNoType;
    uint64_t offset = 0;
    const ContainerRule* rule = nullptr;  // of the container around
    TypeId container = kNoType;
    uint64_t container_offset = 0;
    bool weak = false;                    // in a union whose members disagree
    uint16_t guard = PointerSlot::kNone;  // of the optional or variant around
    uint16_t tag = PointerSlot::kNone;    // of the union around
    int alternative = -1;                 // of the variant around, as far as it is counted; -1: none
  };

  TypeLayout all_conservative() const {
    TypeLayout layout;
    layout.size_bytes = layout_.size_bytes;
    const auto end = static_cast<uint32_t>(std::min<uint64_t>(layout_.size_bytes, UINT32_MAX));
    layout.kinds.push_back({0, end, EdgeKind::conservative});
    return layout;
  }

  // The better kind of several in one word wins.
  void mark(uint64_t offset, uint64_t size_bytes, EdgeKind kind) {
    for (uint64_t word = offset / 8; word * 8 < offset + size_bytes && word < words_.size(); ++word) {
      words_[word] = std::min(words_[word], static_cast<uint8_t>(kind));
    }
  }

  // Types nest a few dozen deep at most, and deeper ones are conservative: the depth bounds the recursion.
  void lay(Place place, int depth) {
    if (++steps_ > kMaxSteps) return;
    const uint64_t size_bytes = types_.size_bytes(place.type);
    if (place.type == kNoType || depth > kMaxDepth) {
      mark(place.offset, std::max<uint64_t>(size_bytes, 1), EdgeKind::conservative);
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
        return mark(place.offset, size_bytes, kind_of(type));
      case TypeKind::enumeration:
        return mark(place.offset, size_bytes, EdgeKind::tainted);
      default:
        return mark(place.offset, size_bytes, EdgeKind::conservative);
    }
  }

  static EdgeKind kind_of(const Type& base) {
    const bool is_number = base.encoding == BaseEncoding::signed_integer ||
                           base.encoding == BaseEncoding::unsigned_integer || base.encoding == BaseEncoding::other;
    return is_number && base.size_bytes >= 8 ? EdgeKind::conservative : EdgeKind::tainted;
  }

  void lay_pointer(const Place& place, const Type& type) {
    if (place.offset % 8 != 0 || type.size_bytes != 8) return mark(place.offset, type.size_bytes, EdgeKind::tainted);
    const bool is_certain = !place.weak && place.guard == PointerSlot::kNone;
    mark(place.offset, 8, is_certain ? EdgeKind::exact : EdgeKind::conservative);
    PointerSlot slot;
    slot.offset_bytes = static_cast<uint32_t>(place.offset);
    slot.target = type.target;
    slot.is_weak = place.weak;
    slot.is_single = type.form != PointerForm::star;
    slot.guard = place.guard;
    if (place.weak) slot.tag = place.tag;
    if (place.rule != nullptr) {
      slot.is_container = true;
      slot.target = containers_.refine(*place.rule, place.container, type.target);
      slot.large = containers_.large_of(*place.rule, slot.target);
    }
    layout_.slots.push_back(slot);
  }

  void lay_array(const Place& place, const Type& type, int depth) {
    const uint64_t each = types_.size_bytes(type.target);
    if (each == 0) return mark(place.offset, type.size_bytes, EdgeKind::conservative);
    const Type& element = types_[type.target];
    if (element.kind == TypeKind::base || element.kind == TypeKind::enumeration) {
      return mark(place.offset, type.size_bytes, element.kind == TypeKind::base ? kind_of(element) : EdgeKind::tainted);
    }
    const std::optional<uint64_t> filled = filled_count(place);
    for (uint64_t i = 0; i < type.count && steps_ <= kMaxSteps; ++i) {
      Place part = place;
      part.type = type.target;
      part.offset += i * each;
      if (filled) guard_element(part, *filled, i);
      lay(part, depth + 1);
    }
  }

  // Where the number of elements in use is, of an array in a container that keeps one.
  std::optional<uint64_t> filled_count(const Place& array) const {
    if (array.rule == nullptr || array.rule->filled.empty()) return std::nullopt;
    return find_members<1>({.type = array.container, .offset = array.container_offset}, {array.rule->filled})[0];
  }

  void guard_element(Place& part, uint64_t count_offset, uint64_t i) {
    const uint8_t more = part.rule->filled_more;
    if (part.rule->small.empty()) part.rule = nullptr;  // arrays inside the elements are full
    if (i < more || i - more > UINT8_MAX || layout_.guards.size() >= PointerSlot::kNone) return;
    part.guard = static_cast<uint16_t>(layout_.guards.size());
    layout_.guards.push_back({.offset_bytes = static_cast<uint32_t>(count_offset),
                              .test = Guard::Test::above,
                              .value = static_cast<uint8_t>(i - more)});
  }

  void lay_record(const Place& place, int depth) {
    Place inner = place;
    if (const ContainerRule* rule = containers_.rule_of(place.type)) {
      inner.rule = rule;
      inner.container = place.type;
      inner.container_offset = place.offset;
    }
    if (inner.rule != nullptr && inner.container == place.type) add_guard(*inner.rule, inner);
    add_tag(inner);
    const size_t first_slot = layout_.slots.size();
    for (const Field& field : types_.fields(place.type)) lay_field(inner, field, depth);
    const bool is_container = inner.rule != nullptr && inner.container == place.type;
    if (is_container) find_element_range(place, *inner.rule, first_slot);
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
    if (field.is_bit_field) return mark(part.offset, 1, EdgeKind::tainted);
    if (record.rule != nullptr) {
      const TypeId stored = containers_.storage(*record.rule, record.container, field.name);
      if (stored != kNoType && types_.size_bytes(stored) <= types_.size_bytes(field.type)) {
        part = {.type = stored, .offset = part.offset, .weak = record.weak, .guard = record.guard};
      }
    }
    lay(part, depth + 1);
  }

  // Where the members with these names are; they may sit in bases and implementation records.
  template <size_t N>
  std::array<std::optional<uint64_t>, N> find_members(const Place& place,
                                                      const std::array<std::string_view, N>& names) const {
    std::array<std::optional<uint64_t>, N> offsets;
    std::vector<std::pair<TypeId, uint64_t>> pending = {{place.type, place.offset}};
    for (size_t i = 0; i < pending.size() && i < kMaxMembers; ++i) {
      const auto [record, offset] = pending[i];
      for (const Field& field : types_.fields(record)) {
        for (size_t n = 0; n < N; ++n) {
          if (!names[n].empty() && field.name == names[n] && !offsets[n]) offsets[n] = offset + field.offset_bytes;
        }
        if (field.type != kNoType && types_[field.type].kind == TypeKind::record) {
          pending.emplace_back(field.type, offset + field.offset_bytes);
        }
      }
    }
    return offsets;
  }

  void find_element_range(const Place& place, const ContainerRule& rule, size_t first_slot) {
    auto offset_of = [](std::optional<uint64_t> at) { return at ? static_cast<uint32_t>(*at) : ElementRange::kNone; };
    if (!rule.first.empty()) {
      const auto [first, end, limit, length, count, capacity, mask] =
          find_members<7>(place, {rule.first, rule.end, rule.limit, rule.length, rule.count, rule.capacity, rule.mask});
      if (first) {
        add_range(*first, first_slot,
                  {offset_of(end), offset_of(limit), offset_of(length), offset_of(count), offset_of(capacity),
                   offset_of(mask)});
      }
    }
    if (!rule.vtable.empty()) {
      const auto [object, vtable] = find_members<2>(place, {rule.object, rule.vtable});
      if (object && vtable) add_range(*object, first_slot, {.vtable_offset_bytes = offset_of(vtable)});
    }
  }

  void add_range(uint64_t pointer_offset, size_t first_slot, const ElementRange& range) {
    if (layout_.ranges.size() >= PointerSlot::kNone) return;
    for (size_t i = first_slot; i < layout_.slots.size(); ++i) {
      if (layout_.slots[i].offset_bytes == pointer_offset)
        layout_.slots[i].range = static_cast<uint16_t>(layout_.ranges.size());
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

  void add_guard(const ContainerRule& rule, Place& place) {
    if ((rule.engaged.empty() && rule.choice.empty()) || layout_.guards.size() >= PointerSlot::kNone) return;
    const auto [engaged, choice] = find_members<2>(place, {rule.engaged, rule.choice});
    if (!engaged && !choice) return;
    place.alternative = choice ? 0 : -1;
    place.guard = static_cast<uint16_t>(layout_.guards.size());
    layout_.guards.push_back({.offset_bytes = static_cast<uint32_t>(choice.value_or(engaged.value_or(0))),
                              .test = choice ? Guard::Test::equal : Guard::Test::not_zero});
  }

  // Members are laid out one over the other. Those with pointers decide; if there are several, no reading is certain,
  // unless the choice is written beside it.
  void lay_union(const Place& place, int depth) {
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

  // libstdc++'s _Variadic_union: the first alternative, and a union of the rest.
  void lay_alternatives(const Place& place, int depth) {
    const auto fields = types_.fields(place.type);
    for (const Field& field : fields) {
      Place part = place;
      if (field.name == "_M_rest") {
        ++part.alternative;
      } else if (layout_.guards.size() < PointerSlot::kNone) {
        const uint32_t offset_bytes = layout_.guards[place.guard].offset_bytes;
        part.guard = static_cast<uint16_t>(layout_.guards.size());
        part.rule = nullptr;
        part.alternative = -1;
        layout_.guards.push_back({.offset_bytes = offset_bytes,
                                  .test = Guard::Test::equal,
                                  .value = static_cast<uint8_t>(place.alternative)});
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
