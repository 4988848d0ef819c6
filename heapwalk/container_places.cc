#include "heapwalk/container_places.h"

#include "heapwalk/member_path.h"

namespace heapwalk {

bool ContainerPlace::says_size() const {
  const bool says_capacity = capacity != kNone && rule->capacity != rule->count;  // a Box<[T]> is always full
  return limit != kNone || room != kNone || says_capacity || size != kNone;
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
  return place;
}

}  // namespace heapwalk
