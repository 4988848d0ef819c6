#include "heapwalk/types/container_values.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "dump/base/byte_reader.h"
#include "heapwalk/types/member_path.h"
#include "heapwalk/types/template_names.h"

namespace heapwalk {
namespace {

constexpr uint64_t kMaxRecordBytes = 4096;  // of a container itself
constexpr size_t kMaxShells = 32;           // records around the implementation
constexpr size_t kMaxTextBytes = 64;
constexpr uint64_t kMaxAlternatives = 256;
constexpr uint64_t kMaxElements = uint64_t{1} << 40;

// The words of a value, by offset; what lies outside is nothing.
class Words {
 public:
  explicit Words(Bytes value) : value_(value) {}
  bool has(uint64_t offset) const { return offset + 8 <= value_.size(); }
  uint64_t operator[](uint64_t offset) const { return has(offset) ? load<uint64_t>(value_.data() + offset) : 0; }
  uint64_t number(uint64_t offset, uint64_t size_bytes) const {
    uint64_t result = 0;
    for (uint64_t i = std::min<uint64_t>(size_bytes, 8); i-- > 0;) {
      result = result << 8 | (offset + i < value_.size() ? static_cast<uint64_t>(value_[offset + i]) : 0);
    }
    return result;
  }

 private:
  Bytes value_;
};

std::optional<ContainerValue> sized(uint64_t size, std::optional<uint64_t> capacity = std::nullopt) {
  if (size >= kMaxElements || (capacity && size > *capacity)) return std::nullopt;
  if (!capacity) return ContainerValue{fmt::format("size {}", size)};
  return ContainerValue{fmt::format("size {}, capacity {}", size, *capacity)};
}

}  // namespace

ContainerValues::ContainerValues(const TypeTable& types, const Containers& containers, const AddressSpace& memory,
                                 NameAt name_at)
    : types_(types), containers_(containers), memory_(memory), name_at_(std::move(name_at)) {}

// std::map is all _Rb_tree: through the records that are nothing but what they hold.
ContainerValues::Found ContainerValues::find(TypeId record) const {
  std::vector<Found> pending = {{nullptr, record, 0}};
  for (size_t i = 0; i < pending.size() && i < kMaxShells; ++i) {
    const Found shell = pending[i];
    if (const ContainerRule* rule = containers_.rule_of(shell.record)) return {rule, shell.record, shell.offset_bytes};
    for (const Field& field : types_.fields(shell.record)) {
      if (!is_container_shell(types_, shell.record, field)) continue;
      pending.push_back({nullptr, field.type, shell.offset_bytes + field.offset_bytes});
    }
  }
  return {};
}

TypeId ContainerValues::element_of(const Found& found) const {
  const auto first = find_member(types_, found.record, found.rule->first);
  if (!first || first->type == kNoType || types_[first->type].kind != TypeKind::pointer) {
    return containers_.element(*found.rule, found.record);
  }
  const TypeId element = containers_.element(*found.rule, found.record);
  return element != kNoType ? element : containers_.refine(*found.rule, found.record, types_[first->type].target);
}

std::optional<ContainerValue> ContainerValues::at(TypeId record, Address address) const {
  if (record == kNoType || types_[record].kind != TypeKind::record) return std::nullopt;
  const uint64_t size_bytes = types_.size_bytes(record);
  const Found found = size_bytes <= kMaxRecordBytes ? find(record) : Found();
  if (found.rule == nullptr) return std::nullopt;
  const Bytes value = memory_.read_exactly(address, size_bytes);
  if (value.size() < size_bytes || size_bytes < found.offset_bytes) return std::nullopt;
  if (!found.rule->choice.empty()) return alternative(found, value);
  if (!found.rule->engaged.empty()) return optional_value(found, value);
  constexpr uint32_t kNone = ContainerPlace::kNone;
  ContainerPlace place = place_container(types_, *found.rule, found.record, static_cast<uint32_t>(found.offset_bytes));
  const Words words(value);
  const TypeId element = element_of(found);
  place.inside_elements = find_inside(types_, *found.rule, found.record, element).elements;
  const uint64_t each = std::max<uint64_t>(1, types_.size_bytes(element));
  if (place.length != kNone) return text(place, element, address, value);
  if (place.limit != kNone) {
    const uint64_t first = words[place.first], end = words[place.end], limit = words[place.limit];
    if (first > end || end > limit || (end - first) % each != 0) return std::nullopt;
    return sized((end - first) / each, (limit - first) / each);
  }
  if (place.capacity != kNone) {
    const uint64_t count = found.rule->size_in(words[place.count != kNone ? place.count : place.size]);
    const uint64_t capacity =
        place.is_inside(value) ? place.inside_elements : found.rule->capacity_in(words[place.capacity]);
    if (template_name(types_[record].name) == "alloc::string::String") return text_at(words[place.first], count);
    return found.rule->capacity == found.rule->count ? sized(count) : sized(count, capacity);
  }
  if (place.size != kNone) return sized(found.rule->size_in(words[place.size]));
  return pointer(found, value);
}

std::optional<ContainerValue> ContainerValues::text_at(uint64_t address, uint64_t length) const {
  if (length >= kMaxElements) return std::nullopt;
  if (length == 0) return ContainerValue{"\"\""};
  const Bytes bytes = memory_.read_exactly(Address{address}, std::min<uint64_t>(length, kMaxTextBytes + 1));
  if (bytes.empty()) return std::nullopt;
  ContainerValue result{quoted_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, kMaxTextBytes)};
  if (length > kMaxTextBytes) result.text += fmt::format(" ({} bytes)", length);
  return result;
}

// Long strings lie elsewhere. libc++'s short ones are what follows the byte that says so, or what goes before it; that byte
// is the flag and the length.
std::optional<ContainerValue> ContainerValues::text(const ContainerPlace& place, TypeId element, Address address,
                                                    Bytes value) const {
  const Words words(value);
  uint64_t begin = words[place.first], length = words[place.length];
  if (place.is_long != ContainerPlace::kNone) {
    const bool is_first = place.is_long == place.offset_bytes;
    const uint64_t mark = words.number(place.is_long, 1);
    if ((mark & (is_first ? 0x01 : 0x80)) == 0) {
      length = is_first ? mark >> 1 : mark;
      begin = address.value + place.offset_bytes + (is_first ? std::max<uint64_t>(1, types_.size_bytes(element)) : 0);
    }
  }
  if (types_.size_bytes(element) == 1) return text_at(begin, length);
  return sized(length);
}

std::optional<ContainerValue> ContainerValues::pointer(const Found& found, Bytes value) const {
  const auto object = find_member(types_, found.record, found.rule->object);
  if (!object || found.offset_bytes + object->offset_bytes + 8 > value.size()) return std::nullopt;
  // What std::any's word means, only the function beside it knows.
  const bool is_erased = find_member(types_, found.record, found.rule->vtable).has_value();
  if (is_erased && found.rule->record.starts_with("std::")) return std::nullopt;
  const uint64_t target = Words(value)[found.offset_bytes + object->offset_bytes];
  if (target == 0) return ContainerValue{"null"};
  std::string name = name_at_ ? name_at_(Address{target}) : "";
  const bool is_pointer = object->type != kNoType && types_[object->type].kind == TypeKind::pointer;
  if (name.empty() && is_pointer && types_[object->type].target != kNoType) {
    name = types_.spelled(types_[object->type].target);
  }
  return ContainerValue{fmt::format("{:#x}{}{}", target, name.empty() ? "" : " → ", name)};
}

std::optional<ContainerValue> ContainerValues::optional_value(const Found& found, Bytes value) const {
  const auto engaged = find_member(types_, found.record, found.rule->engaged);
  const auto held = find_member(types_, found.record, found.rule->value);
  if (!engaged || !held) return std::nullopt;
  const uint64_t flag = Words(value).number(found.offset_bytes + engaged->offset_bytes, 1);
  if (flag > 1) return std::nullopt;
  if (flag == 0) return ContainerValue{"empty"};
  return ContainerValue{"has a value", held->type, found.offset_bytes + held->offset_bytes};
}

// Both libraries' variants are the first alternative, and a union of the rest.
std::optional<ContainerValue> ContainerValues::alternative(const Found& found, Bytes value) const {
  const auto choice = find_member(types_, found.record, found.rule->choice);
  const auto rest = find_member(types_, found.record, found.rule->rest);
  if (!choice || choice->type == kNoType) return std::nullopt;
  const uint64_t number_bytes = types_.size_bytes(choice->type);
  if (number_bytes == 0 || number_bytes > 8) return std::nullopt;
  const uint64_t number = Words(value).number(found.offset_bytes + choice->offset_bytes, number_bytes);
  if (number == UINT64_MAX >> (64 - 8 * number_bytes)) return ContainerValue{"no alternative"};
  if (!rest || number >= kMaxAlternatives) return std::nullopt;
  TypeId union_type = kNoType;  // the record's own member that has the rest
  for (const Field& field : types_.fields(found.record)) {
    const bool is_union = field.type != kNoType && types_[field.type].kind == TypeKind::union_;
    if (is_union) union_type = field.type;
  }
  for (uint64_t i = 0; union_type != kNoType; ++i) {
    TypeId here = kNoType, further = kNoType;
    for (const Field& field : types_.fields(union_type)) {
      const bool is_rest = field.name == found.rule->rest;
      const bool is_value = !is_rest && field.type != kNoType && types_[field.type].kind == TypeKind::record;
      if (is_rest) further = field.type;
      if (is_value) here = field.type;
    }
    if (i == number && (here == kNoType || types_.arguments(here).empty())) return std::nullopt;
    if (i == number) return ContainerValue{fmt::format("alternative {}", number), types_.arguments(here).front(), 0};
    const bool goes_on = further != kNoType && types_[further].kind == TypeKind::union_;
    union_type = goes_on ? further : kNoType;
  }
  return std::nullopt;
}

std::string quoted_text(std::string_view text, size_t max_bytes) {
  std::string result = "\"";
  for (char c : text.substr(0, max_bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (byte < 0x20 || byte >= 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result + (text.size() > max_bytes ? "\"…" : "\"");
}

}  // namespace heapwalk
