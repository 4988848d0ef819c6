#include "heapwalk/types/library_types.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapwalk/types/template_names.h"

namespace heapwalk {
namespace {

constexpr std::string_view kBtreeNode = "absl::container_internal::btree_node";
constexpr std::array<std::string_view, 4> kMaps = {
    "absl::container_internal::map_params", "absl::container_internal::map_params_impl",
    "absl::container_internal::FlatHashMapPolicy", "absl::container_internal::NodeHashMapPolicy"};
constexpr std::array<std::string_view, 4> kSets = {
    "absl::container_internal::set_params", "absl::container_internal::set_params_impl",
    "absl::container_internal::FlatHashSetPolicy", "absl::container_internal::NodeHashSetPolicy"};
constexpr std::string_view kNodePolicy = "absl::container_internal::NodeHash";
constexpr std::string_view kRawHashSet = "absl::container_internal::raw_hash_set";
constexpr std::string_view kPtrNode = "boost::unordered::detail::ptr_node";
constexpr std::string_view kPtrBucket = "boost::unordered::detail::ptr_bucket";
constexpr uint64_t kTargetNodeBytes = 256;  // unless the parameters say otherwise
constexpr uint64_t kMaxNodeBytes = 1 << 16;
constexpr uint64_t kLeastSlots = 4;
constexpr size_t kMaxParts = 256;  // of a record whose alignment is asked for

uint64_t align_up(uint64_t offset, uint64_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

// What the largest number in it wants. Debug info says more only where the program does (alignas).
uint64_t alignment_of(const TypeTable& types, TypeId type) {
  uint64_t alignment = 1;
  std::vector<TypeId> parts = {type};
  for (size_t i = 0; i < parts.size() && i < kMaxParts; ++i) {
    if (parts[i] == kNoType) continue;
    const Type& part = types[parts[i]];
    if (part.kind == TypeKind::record || part.kind == TypeKind::union_) {
      for (const Field& field : types.fields(parts[i])) parts.push_back(field.type);
    } else if (part.kind == TypeKind::array) {
      parts.push_back(part.target);
    } else if (part.size_bytes == 2 || part.size_bytes == 4 || part.size_bytes == 8 || part.size_bytes == 16) {
      alignment = std::max(alignment, part.size_bytes);
    }
  }
  return alignment;
}

// The number before the last argument: "…map_params<K, V, L, A, 256, false> >".
uint64_t target_node_bytes(std::string_view name) {
  const size_t last = name.rfind(',');
  const size_t before = last == 0 || last == std::string_view::npos ? last : name.rfind(',', last - 1);
  if (before == std::string_view::npos) return kTargetNodeBytes;
  size_t begin = before + 1;
  while (begin < last && name[begin] == ' ') ++begin;
  uint64_t bytes = 0;
  const auto parsed = std::from_chars(name.data() + begin, name.data() + last, bytes);
  return parsed.ec == std::errc() && bytes > 0 && bytes <= kMaxNodeBytes ? bytes : kTargetNodeBytes;
}

class LibraryTypesBuilder {
 public:
  explicit LibraryTypesBuilder(TypeTable types) : builder_(std::move(types)) {}

  // One node of which the slots hold such values.
  void add_btree(TypeId node, TypeId value) {
    const TypeTable& types = builder_.table();
    const uint64_t each = types.size_bytes(value);
    if (each == 0 || each > kMaxNodeBytes) return;
    const uint64_t target = target_node_bytes(types[node].name);
    const bool has_small_counts = target < 12 || (target - 12) / each <= UINT8_MAX;
    Shape shape{.node = node, .value = value, .each = each};
    shape.count = has_small_counts ? builder_.base("unsigned char", 1, BaseEncoding::unsigned_integer)
                                   : builder_.base("unsigned short", 2, BaseEncoding::unsigned_integer);
    shape.slots_offset = align_up(8 + 4 * (has_small_counts ? 1 : 2), alignment_of(builder_.table(), value));
    const uint64_t room = target > shape.slots_offset ? target - shape.slots_offset : 0;
    const uint64_t most = std::max(kLeastSlots, room / each);
    add_btree_forms(shape, most);
  }

  void add_bucket(TypeId node, TypeId base) {
    const TypeId bucket = builder_.add_form(builder_.table()[base].name, 8);
    builder_.fill(bucket, {{.name = "next_", .type = builder_.pointer_to(node)}}, {});
    library_.buckets.emplace(node, bucket);
  }

  void add_element(TypeId table, TypeId value, bool is_linked) {
    library_.elements.emplace(table, is_linked ? builder_.pointer_to(value) : value);
  }

  std::pair<TypeTable, LibraryTypes> finish() && { return {std::move(builder_).finish(), std::move(library_)}; }

 private:
  struct Shape {
    TypeId node, value, count = kNoType;
    uint64_t each, slots_offset = 0;
  };

  // The first leaf of a tree grows from one slot to all, by doubling.
  void add_btree_forms(const Shape& shape, uint64_t most) {
    TypeId last = kNoType;
    for (uint64_t slots = 1; last == kNoType || slots < 2 * most; slots *= 2) {
      const TypeId leaf = add_leaf(shape, std::min(slots, most));
      if (last == kNoType) library_.described.emplace(shape.node, leaf);
      if (last != kNoType) library_.larger.emplace(last, leaf);
      last = leaf;
    }
    library_.larger.emplace(last, add_inner(shape, last, most));
  }

  std::vector<TypeId> arguments(TypeId record) const {
    const auto arguments = builder_.table().arguments(record);
    return {arguments.begin(), arguments.end()};
  }

  TypeId add_leaf(const Shape& shape, uint64_t slots) {
    const uint64_t each_count = builder_.table().size_bytes(shape.count);
    const TypeId leaf = builder_.add_form(builder_.table()[shape.node].name, shape.slots_offset + slots * shape.each);
    std::vector<Field> fields = {{.name = "parent", .type = builder_.pointer_to(shape.node)}};
    for (std::string_view name : {"position", "start", "finish", "max_count"})
      fields.push_back({.name = name, .type = shape.count, .offset_bytes = 8 + (fields.size() - 1) * each_count});
    fields.push_back(
        {.name = "slots", .type = builder_.array_of(shape.value, slots), .offset_bytes = shape.slots_offset});
    builder_.fill(leaf, std::move(fields), arguments(shape.node));
    return leaf;
  }

  TypeId add_inner(const Shape& shape, TypeId leaf, uint64_t most) {
    const uint64_t children_offset = align_up(builder_.table().size_bytes(leaf), 8);
    const TypeId children = builder_.array_of(builder_.pointer_to(shape.node), most + 1);
    const TypeId inner = builder_.add_form(builder_.table()[shape.node].name, children_offset + 8 * (most + 1));
    builder_.fill(inner,
                  {{.name = "leaf", .type = leaf, .is_base = true},
                   {.name = "children", .type = children, .offset_bytes = children_offset}},
                  arguments(shape.node));
    return inner;
  }

  TypeTableBuilder builder_;
  LibraryTypes library_;
};

// The records that something is to be added for.
struct Wanted {
  std::vector<TypeId> btree_nodes, hash_nodes, hash_tables;
  bool empty() const { return btree_nodes.empty() && hash_nodes.empty() && hash_tables.empty(); }
};

Wanted find_wanted(const TypeTable& types) {
  Wanted wanted;
  for (uint32_t i = 0; i < types.size(); ++i) {
    const TypeId id{i};
    const Type& type = types[id];
    if (type.kind != TypeKind::record || type.argument_count == 0) continue;
    if (!type.name.starts_with("absl::") && !type.name.starts_with(kPtrNode)) continue;
    const std::string name = library_name(type.name);
    if (name == kBtreeNode && type.field_count == 0) wanted.btree_nodes.push_back(id);
    if (name == kPtrNode) wanted.hash_nodes.push_back(id);
    if (name == kRawHashSet) wanted.hash_tables.push_back(id);
  }
  return wanted;
}

// Qualifiers are no types here, so pair<K, V> and pair<const K, V> have the same arguments, and the same layout. Of the names
// the longer one has the "const".
using Pairs = std::map<std::pair<TypeId, TypeId>, TypeId>;
Pairs find_pairs(const TypeTable& types) {
  Pairs pairs;
  for (uint32_t i = 0; i < types.size(); ++i) {
    const TypeId id{i};
    if (types[id].kind != TypeKind::record || types[id].argument_count != 2) continue;
    if (!types[id].name.starts_with("std::")) continue;
    const std::string name = library_name(types[id].name);
    if (name != "std::pair" && name != "std::__1::pair") continue;
    auto [at, is_new] = pairs.try_emplace({types.arguments(id)[0], types.arguments(id)[1]}, id);
    if (!is_new && types[at->second].name.size() < types[id].name.size()) at->second = id;
  }
  return pairs;
}

struct Element {
  TypeId container, value;
  bool is_linked;
};

// What absl's containers hold, by the parameters that are their first argument.
std::vector<Element> find_elements(const TypeTable& types, const Pairs& pairs, const std::vector<TypeId>& containers) {
  std::vector<Element> elements;
  for (TypeId container : containers) {
    const TypeId parameters = template_argument(types, container, "0");
    if (parameters == kNoType) continue;
    const std::string name = library_name(types[parameters].name);
    TypeId value = template_argument(types, parameters, "0");
    if (std::ranges::find(kMaps, name) != kMaps.end()) {
      const auto at = pairs.find({value, template_argument(types, parameters, "1")});
      value = at == pairs.end() ? kNoType : at->second;
    } else if (std::ranges::find(kSets, name) == kSets.end()) {
      continue;
    }
    if (value != kNoType) elements.push_back({container, value, name.starts_with(kNodePolicy)});
  }
  return elements;
}

}  // namespace

LibraryTypes add_library_types(TypeTable& types) {
  const Wanted wanted = find_wanted(types);
  if (wanted.empty()) return {};
  const auto bucket = types.find(kPtrBucket);
  const Pairs pairs = find_pairs(types);
  const std::vector<Element> elements = find_elements(types, pairs, wanted.hash_tables);
  const std::vector<Element> tree_values = find_elements(types, pairs, wanted.btree_nodes);
  LibraryTypesBuilder builder(std::move(types));
  for (const Element& element : tree_values) builder.add_btree(element.container, element.value);
  if (bucket)
    for (TypeId node : wanted.hash_nodes) builder.add_bucket(node, *bucket);
  for (const Element& element : elements) builder.add_element(element.container, element.value, element.is_linked);
  auto [table, library] = std::move(builder).finish();
  types = std::move(table);
  return library;
}

}  // namespace heapwalk
