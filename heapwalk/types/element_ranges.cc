#include "heapwalk/types/element_ranges.h"

#include <string_view>

#include "heapwalk/types/member_path.h"

namespace heapwalk {

std::vector<PlacedRange> place_ranges(const TypeTable& types, const ContainerRule& rule, TypeId record,
                                      uint64_t offset_bytes) {
  constexpr uint32_t kNone = ElementRange::kNone;
  const auto offset_of = [&](std::string_view path) {
    const auto member = find_member(types, record, path);
    return member ? static_cast<uint32_t>(offset_bytes + member->offset_bytes) : kNone;
  };
  std::vector<PlacedRange> ranges;
  if (const uint32_t first = offset_of(rule.first); first != kNone) {
    ElementRange range{.rule = &rule};
    range.end_offset_bytes = offset_of(rule.end);
    range.limit_offset_bytes = offset_of(rule.limit);
    range.length_offset_bytes = offset_of(rule.length);
    range.count_offset_bytes = offset_of(rule.control.empty() ? rule.count : rule.size);
    range.capacity_offset_bytes = offset_of(rule.capacity);
    range.mask_offset_bytes = offset_of(rule.mask);
    range.begin_offset_bytes = offset_of(rule.begin);
    range.head_offset_bytes = offset_of(rule.head);
    range.control_offset_bytes = offset_of(rule.control);
    ranges.push_back({first, range});
    if (const uint32_t last = offset_of(rule.last); last != kNone) {
      range.limit_offset_bytes = offset_of(rule.last_limit);
      ranges.push_back({last, range});
    }
  }
  const uint32_t buckets = offset_of(rule.buckets);
  if (rule.has_last_bucket && buckets != kNone) {
    ElementRange range{.rule = &rule};
    range.capacity_offset_bytes = offset_of(rule.bucket_count);
    range.more = 1;
    ranges.push_back({buckets, range});
  }
  const uint32_t object = offset_of(rule.object);
  const uint32_t vtable = offset_of(rule.vtable);
  if (object != kNone && vtable != kNone) {
    ElementRange range{.rule = &rule};
    range.vtable_offset_bytes = vtable;
    ranges.push_back({object, range});
  }
  return ranges;
}

}  // namespace heapwalk
