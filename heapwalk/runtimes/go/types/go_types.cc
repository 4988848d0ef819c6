#include "heapwalk/runtimes/go/types/go_types.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "heapwalk/runtimes/go/types/type_list.h"

namespace heapwalk::go {
namespace {

constexpr int kMaxNamesakes = 16;

BaseEncoding encoding_of(GoKind kind) {
  if (kind == GoKind::kBool) return BaseEncoding::boolean;
  if (kind >= GoKind::kInt && kind <= GoKind::kInt64) return BaseEncoding::signed_integer;
  if (kind >= GoKind::kUint && kind <= GoKind::kUintptr) return BaseEncoding::unsigned_integer;
  return BaseEncoding::floating;
}

// Of the kinds whose values are all of one size; 0: they are not.
uint64_t size_of(GoKind kind) {
  switch (kind) {
    case GoKind::kChan:
    case GoKind::kFunc:
    case GoKind::kMap:
    case GoKind::kPointer:
    case GoKind::kUnsafePointer:
      return 8;
    case GoKind::kString:
    case GoKind::kInterface:
      return 16;
    case GoKind::kSlice:
      return 24;
    default:
      return 0;
  }
}

bool is_chained(GoKind kind) {
  return kind == GoKind::kPointer || kind == GoKind::kArray;
}

}  // namespace

void GoTypes::add_listed(Diagnostics& diagnostics) {
  ListedTypes listed = list_types(*memory_, *process_, diagnostics);
  for (Address type : listed.types) graph_.add(type);
  itabs_ = std::move(listed.itabs);
  settle(0);
}

TypeId GoTypes::add(Address type) {
  const uint32_t first = graph_.size();
  const uint32_t node = graph_.add(type);
  if (graph_.size() > first) settle(first);
  return id_of(node);
}

// { F uintptr; … }
std::vector<Address> GoTypes::closure_structs() const {
  std::vector<Address> found;
  for (uint32_t node = 0; node < graph_.size(); ++node) {
    const auto fields = graph_.fields(graph_[node]);
    if (fields.size() < 2 || graph_[node].descriptor.is_named || fields[0].offset_bytes != 0) continue;
    if (fields[0].name != "F" && fields[0].name != ".F") continue;
    if (fields[0].type == kNoNode || graph_[fields[0].type].descriptor.kind != GoKind::kUintptr) continue;
    found.push_back(graph_[node].descriptor.address);
  }
  std::ranges::sort(found);
  return found;
}

std::vector<Address> GoTypes::addresses() const {
  std::vector<Address> all;
  for (uint32_t node = 0; node < graph_.size(); ++node) all.push_back(graph_[node].descriptor.address);
  return all;
}

void GoTypes::report(Diagnostics& diagnostics) const {
  const uint64_t damage = damage_ + graph_.damage();
  if (damage > 0) {
    diagnostics.add("go_types_damaged", "Go types that are not as expected: parts of them were left out", damage);
  }
}

// Records come first, empty: then what points to them can be named, and then they are filled.
void GoTypes::settle(uint32_t first) {
  ids_.resize(graph_.size(), kNoType);
  for (uint32_t node = first; node < graph_.size(); ++node) {
    if (graph_[node].group != kNoNode) group_of_.try_emplace(graph_[node].group, node);
  }
  for (uint32_t node = first; node < graph_.size(); ++node) {
    const TypeNode& type = graph_[node];
    const uint64_t size_bytes = size_of(type.descriptor.kind);
    if (size_bytes != 0 && type.descriptor.size_bytes != size_bytes) {
      ++damage_;
    } else {
      ids_[node] = simple(node);
    }
  }
  for (uint32_t node = first; node < graph_.size(); ++node) {
    if (graph_[node].descriptor.kind == GoKind::kMap) ids_[node] = map(node);
  }
  for (uint32_t node = first; node < graph_.size(); ++node) {
    if (is_chained(graph_[node].descriptor.kind)) resolve_chain(node);
  }
  for (uint32_t node = first; node < graph_.size(); ++node) fill(node);
  for (uint32_t node = first; node < graph_.size(); ++node) {
    if (ids_[node] != kNoType) descriptors_.try_emplace(ids_[node], graph_[node].descriptor.address);
  }
  unfilled_.clear();
}

std::string GoTypes::name_of(uint32_t node) const {
  const TypeNode& type = graph_[node];
  if (auto map = group_of_.find(node); map != group_of_.end()) {
    const TypeNode& whole = graph_[map->second];
    const std::string key = part_name(whole.key), element = part_name(whole.element);
    return whole.is_classic_map ? fmt::format("bucket<{},{}>", key, element)
                                : fmt::format("noalg.map.group[{}]{}", key, element);
  }
  // Its map was not added.
  if (type.text.find("map.group[") != std::string::npos || type.text.find("map.bucket[") != std::string::npos) {
    return type.text;
  }
  return type.name;
}

// What needs no other type's size; kNoType of all others.
TypeId GoTypes::simple(uint32_t node) {
  const TypeNode& type = graph_[node];
  switch (type.descriptor.kind) {
    case GoKind::kStruct:
      return open_struct(node);
    case GoKind::kSlice:
    case GoKind::kString:
      return open(node, type.name, type.descriptor.size_bytes);
    case GoKind::kInterface: {
      const Address methods = type.descriptor.address + process_->layout.offset(Field::InterfaceType_Methods);
      return records_.interface(memory_->read_word(methods + 8).value_or(0) == 0);
    }
    case GoKind::kFunc:
      return builder_->pointer_to(builder_->function());
    case GoKind::kUnsafePointer:
      return builder_->pointer_to(kNoType);
    case GoKind::kChan:
      return builder_->pointer_to(
          open(node, fmt::format("hchan<{}>", part_name(type.element)), records_.channel_bytes()));
    case GoKind::kInvalid:
    case GoKind::kArray:
    case GoKind::kMap:
    case GoKind::kPointer:
      return kNoType;
    default:
      return builder_->base(type.name, type.descriptor.size_bytes, encoding_of(type.descriptor.kind));
  }
}

TypeId GoTypes::open(uint32_t node, const std::string& name, uint64_t size_bytes) {
  const auto opened = builder_->open(TypeKind::record, name, size_bytes);
  if (opened.is_new) unfilled_.emplace(node, opened.id);
  return opened.id;
}

// Types that functions declare may share name and size: the debug info numbers them, and so do we.
TypeId GoTypes::open_struct(uint32_t node) {
  const TypeNode& type = graph_[node];
  const std::string name = name_of(node);
  for (int i = 0; i <= kMaxNamesakes; ++i) {
    const TypeId id = open(node, i == 0 ? name : fmt::format("{}·{}", name, i), type.descriptor.size_bytes);
    if (unfilled_.contains(node) || is_same_struct(id, type)) {
      owners_.try_emplace(id, node);
      return id;
    }
  }
  ++damage_;
  return kNoType;
}

bool GoTypes::is_same_struct(TypeId id, const TypeNode& node) const {
  const auto mine = graph_.fields(node);
  if (auto owner = owners_.find(id); owner != owners_.end()) {
    return std::ranges::equal(mine, graph_.fields(graph_[owner->second]), [&](const FieldNode& a, const FieldNode& b) {
      return a.name == b.name && a.offset_bytes == b.offset_bytes && part_name(a.type) == part_name(b.type);
    });
  }
  // Of the debug info, where fields are sorted and functions have no size.
  return std::ranges::equal(mine, table().fields(id), [&](const FieldNode& a, const heapwalk::Field& b) {
    if (a.offset_bytes != b.offset_bytes || a.type == kNoNode || b.type == kNoType) return a.type == kNoNode;
    const TypeDescriptor& type = graph_[a.type].descriptor;
    const bool is_pointer = size_of(type.kind) == 8;
    const TypeKind kind = table()[b.type].kind;
    if (is_pointer != (kind == TypeKind::pointer || kind == TypeKind::function)) return false;
    return is_pointer || type.size_bytes == table()[b.type].size_bytes;
  });
}

TypeId GoTypes::map(uint32_t node) {
  const TypeNode& type = graph_[node];
  const std::string arguments = part_name(type.key) + "," + part_name(type.element);
  const TypeId group = id_of(type.group);
  const TypeId record =
      type.is_classic_map ? records_.classic_map(arguments, group) : records_.swiss_map(arguments, group);
  return builder_->pointer_to(record);
}

// A pointer to a pointer to an array … down to what has an id.
void GoTypes::resolve_chain(uint32_t node) {
  std::vector<uint32_t> chain;
  std::unordered_set<uint32_t> seen;
  uint32_t at = node;
  while (at != kNoNode && ids_[at] == kNoType && is_chained(graph_[at].descriptor.kind) && seen.insert(at).second) {
    chain.push_back(at);
    at = graph_[at].element;
  }
  TypeId id = at == kNoNode ? kNoType : ids_[at];  // kNoType of what leads back to itself
  for (auto each = chain.rbegin(); each != chain.rend(); ++each) {
    const TypeNode& type = graph_[*each];
    id = type.descriptor.kind == GoKind::kPointer ? builder_->pointer_to(id) : builder_->array_of(id, type.length);
    if (table().size_bytes(id) != type.descriptor.size_bytes) {
      ++damage_;
      id = kNoType;
    }
    ids_[*each] = id;
  }
}

void GoTypes::fill(uint32_t node) {
  const TypeNode& type = graph_[node];
  if (type.descriptor.kind == GoKind::kMap && ids_[node] != kNoType) {
    maps_.try_emplace(pointee(table(), ids_[node]), MapTypes{id_of(type.key), id_of(type.element), id_of(type.group)});
  }
  const auto opened = unfilled_.find(node);
  if (opened == unfilled_.end()) return;
  const TypeId id = opened->second;
  switch (type.descriptor.kind) {
    case GoKind::kSlice:
      builder_->fill(id, records_.slice_fields(id_of(type.element)), {});
      break;
    case GoKind::kString:
      builder_->fill(id, records_.string_fields(), {});
      break;
    case GoKind::kChan:
      builder_->fill(id, records_.channel_fields(id_of(type.element)), {});
      break;
    default:
      fill_struct(id, type);
      break;
  }
}

void GoTypes::fill_struct(TypeId id, const TypeNode& node) {
  std::vector<heapwalk::Field> fields;
  for (const FieldNode& field : graph_.fields(node)) {
    fields.push_back({.name = field.name, .type = id_of(field.type), .offset_bytes = field.offset_bytes});
  }
  damage_ += builder_->fill(id, std::move(fields), {});
}

}  // namespace heapwalk::go
