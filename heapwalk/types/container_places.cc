#include "heapwalk/types/container_places.h"

#include <algorithm>

#include "dump/base/byte_reader.h"
#include "heapwalk/types/member_path.h"
#include "heapwalk/types/template_names.h"

namespace heapwalk {

bool ContainerPlace::says_size() const {
  const bool says_capacity = capacity != kNone && rule->capacity != rule->count;  // a Box<[T]> is always full
  return limit != kNone || room != kNone || says_capacity || size != kNone;
}

bool ContainerPlace::is_inside(Bytes value) const {
  if (inside_elements == 0) return false;
  if (is_long != kNone) {
    const uint8_t bit = is_long == offset_bytes ? 0x01 : 0x80;
    return is_long < value.size() && (static_cast<uint8_t>(value[is_long]) & bit) == 0;
  }
  if (capacity == kNone) return true;
  if (capacity + uint64_t{8} > value.size()) return false;
  return rule->capacity_in(load<uint64_t>(value.data() + capacity)) <= inside_elements;
}

bool is_container_shell(const TypeTable& types, TypeId record, const Field& member) {
  if (member.type == kNoType) return false;
  const TypeKind kind = types[member.type].kind;
  if (kind != TypeKind::record && kind != TypeKind::union_) return false;
  const std::string_view name = types[record].name;
  const std::string_view of = template_name(name);
  const size_t scope = of.rfind("::");
  const std::string_view last = scope == std::string_view::npos ? of : of.substr(scope + 2);
  const bool is_library = name.starts_with("std::") || name.starts_with("alloc::") || name.starts_with("hashbrown::") ||
                          name.starts_with("absl::") || name.starts_with("boost::");
  const bool is_keyed = last == "HashMap" || last == "HashSet";  // with a hasher beside
  const bool is_all = types.size_bytes(member.type) == types.size_bytes(record) || is_keyed;
  return is_library && is_all && last != "pair" && last != "tuple" && last != "array";
}

InsideRoom find_inside(const TypeTable& types, const ContainerRule& rule, TypeId record, TypeId element) {
  const auto inside = find_member(types, record, rule.inside);
  const uint64_t each = types.size_bytes(element);
  if (!inside || each == 0 || inside->offset_bytes > types.size_bytes(record)) return {};
  const uint64_t room_bytes =
      rule.inside_to_end ? types.size_bytes(record) - inside->offset_bytes : types.size_bytes(inside->type);
  return {inside->offset_bytes, std::min(room_bytes / each, rule.inside_most)};
}

ContainerPlace place_container(const TypeTable& types, const ContainerRule& rule, TypeId record,
                               uint32_t offset_bytes) {
  const auto offset_of = [&](std::string_view path) {
    const auto member = find_member(types, record, path);
    return member ? static_cast<uint32_t>(offset_bytes + member->offset_bytes) : ContainerPlace::kNone;
  };
  ContainerPlace place;
  place.rule = &rule;
  place.shown = record;
  place.offset_bytes = offset_bytes;
  place.first = offset_of(rule.first);
  place.end = offset_of(rule.end);
  if (rule.begin.empty()) place.limit = offset_of(rule.limit);  // one block of several does not say how many there are
  place.length = offset_of(rule.length);
  place.room = offset_of(rule.room);
  place.is_long = offset_of(rule.is_long);
  place.count = offset_of(rule.count);
  place.capacity = offset_of(rule.capacity);
  place.mask = offset_of(rule.mask);
  place.size = offset_of(rule.size);
  place.buckets = offset_of(rule.buckets);
  place.bucket_count = offset_of(rule.bucket_count);
  place.control = offset_of(rule.control);
  return place;
}

}  // namespace heapwalk
