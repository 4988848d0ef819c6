#include "heapwalk/containers.h"

#include <algorithm>
#include <array>

namespace heapwalk {
namespace {

constexpr int kSelf = ContainerRule::kSelf;
constexpr std::string_view kLeafNode = "alloc::collections::btree::node::LeafNode";
constexpr std::string_view kInternalNode = "alloc::collections::btree::node::InternalNode";

constexpr auto kRules = std::to_array<ContainerRule>({
    {.record = "std::_Vector_base", .first = "_M_start", .end = "_M_finish", .limit = "_M_end_of_storage"},
    {.record = "std::__cxx11::basic_string", .first = "_M_p", .length = "_M_string_length"},
    {.record = "std::deque"},
    {.record = "std::_Deque_base"},
    {.record = "std::_Rb_tree", .base = "std::_Rb_tree_node_base", .node = "std::_Rb_tree_node", .node_argument = 1},
    {.record = "std::_Rb_tree_node",
     .base = "std::_Rb_tree_node_base",
     .node_argument = kSelf,
     .storage = "_M_storage",
     .storage_argument = 0},
    {.record = "std::__cxx11::_List_base",
     .base = "std::__detail::_List_node_base",
     .node = "std::_List_node",
     .node_argument = 0},
    {.record = "std::_List_node",
     .base = "std::__detail::_List_node_base",
     .node_argument = kSelf,
     .storage = "_M_storage",
     .storage_argument = 0},
    {.record = "std::_Fwd_list_base",
     .base = "std::_Fwd_list_node_base",
     .node = "std::_Fwd_list_node",
     .node_argument = 0},
    {.record = "std::_Fwd_list_node",
     .base = "std::_Fwd_list_node_base",
     .node_argument = kSelf,
     .storage = "_M_storage",
     .storage_argument = 0},
    {.record = "std::_Hashtable",
     .base = "std::__detail::_Hash_node_base",
     .node = "std::__detail::_Hash_node",
     .node_argument = 1},
    {.record = "std::__detail::_Hash_node",
     .base = "std::__detail::_Hash_node_base",
     .node_argument = kSelf,
     .storage = "_M_storage",
     .storage_argument = 0},
    {.record = "std::_Sp_counted_ptr_inplace", .storage = "_M_storage", .storage_argument = 0},
    {.record = "std::unique_ptr"},
    {.record = "std::__shared_ptr"},
    {.record = "std::__weak_ptr"},
    {.record = "std::_Optional_payload_base", .engaged = "_M_engaged"},
    {.record = "std::__detail::__variant::_Variant_storage", .choice = "_M_index"},

    // Rust
    {.record = "alloc::vec::Vec", .first = "pointer", .element_argument = 0, .count = "len", .capacity = "cap"},
    {.record = "alloc::collections::vec_deque::VecDeque", .first = "pointer", .element_argument = 0, .capacity = "cap"},
    {.record = "alloc::boxed::Box",
     .first = "data_ptr",
     .count = "length",
     .capacity = "length",
     .object = "pointer",
     .vtable = "vtable"},
    {.record = "alloc::rc::Rc", .object = "pointer", .vtable = "vtable"},
    {.record = "alloc::rc::Weak", .object = "pointer", .vtable = "vtable"},
    {.record = "alloc::sync::Arc", .object = "pointer", .vtable = "vtable"},
    {.record = "alloc::sync::Weak", .object = "pointer", .vtable = "vtable"},
    {.record = "hashbrown::raw::RawTable", .first = "ctrl", .element_argument = 0, .mask = "bucket_mask"},
    {.record = "alloc::collections::linked_list::LinkedList"},
    {.record = "alloc::collections::btree::node::NodeRef", .small = kLeafNode, .large = kInternalNode},
    {.record = kLeafNode, .filled = "len"},
    {.record = kInternalNode, .small = kLeafNode, .large = kInternalNode, .filled = "len", .filled_more = 1},
});

}  // namespace

std::span<const ContainerRule> container_rules() {
  return kRules;
}

std::string_view template_name(std::string_view name) {
  const size_t first = name.find('<');
  if (first == std::string_view::npos || first == 0) return name;
  size_t depth = 0;
  for (size_t at = first; at < name.size(); ++at) {
    if (name[at] == '<') ++depth;
    // "std::_Rb_tree<…>::_Rb_tree_impl<…>" is a member of a template, not an instance of it.
    if (name[at] == '>' && name[at - 1] == '-') continue;  // "Box<dyn Fn(u64) -> u64>"
    if (name[at] == '>' && --depth == 0) return at + 1 == name.size() ? name.substr(0, first) : name;
  }
  return name;
}

Containers::Containers(const TypeTable& types) : types_(&types) {
  for (const ContainerRule& rule : kRules) by_template_.emplace(rule.record, &rule);
  std::unordered_map<std::string_view, uint64_t> wanted;  // node templates, numbered
  for (size_t i = 0; i < kRules.size(); ++i) {
    if (!kRules[i].node.empty()) wanted.emplace(kRules[i].node, i);
  }
  for (uint32_t i = 0; i < types.size(); ++i) {
    const Type& type = types[TypeId{i}];
    if (type.kind != TypeKind::record || type.argument_count == 0) continue;
    auto at = wanted.find(template_name(type.name));
    if (at == wanted.end()) continue;
    nodes_[at->second << 32 | index(types.arguments(TypeId{i})[0])].push_back(TypeId{i});
  }
}

const ContainerRule* Containers::rule_of(TypeId record) const {
  if (record == kNoType || (*types_)[record].kind != TypeKind::record) return nullptr;
  const std::string_view name = (*types_)[record].name;
  if (!name.ends_with('>')) return nullptr;
  auto at = by_template_.find(template_name(name));
  return at == by_template_.end() ? nullptr : at->second;
}

TypeId Containers::refine(const ContainerRule& rule, TypeId record, TypeId target) const {
  const auto arguments = types_->arguments(record);
  if (rule.element_argument >= 0 && static_cast<size_t>(rule.element_argument) < arguments.size()) {
    return arguments[static_cast<size_t>(rule.element_argument)];
  }
  if (rule.base.empty() || target == kNoType || (*types_)[target].name != rule.base) return target;
  if (rule.node_argument == kSelf) return record;
  if (rule.node_argument < 0 || static_cast<size_t>(rule.node_argument) >= arguments.size()) return target;
  const auto number = static_cast<uint64_t>(&rule - kRules.data());
  auto at = nodes_.find(number << 32 | index(arguments[static_cast<size_t>(rule.node_argument)]));
  if (at == nodes_.end()) return target;
  if (at->second.size() == 1) return at->second.front();
  // Hash nodes come with the hash kept and without; the table's traits begin with which.
  const bool keeps_hash = (*types_)[record].name.find("_Hashtable_traits<true") != std::string_view::npos;
  for (TypeId node : at->second) {
    if ((*types_)[node].name.ends_with(keeps_hash ? "true>" : "false>")) return node;
  }
  return target;
}

TypeId Containers::large_of(const ContainerRule& rule, TypeId target) const {
  if (rule.small.empty() || target == kNoType) return kNoType;
  const std::string_view name = (*types_)[target].name;
  if (template_name(name) != rule.small) return kNoType;
  const auto found = types_->find(std::string(rule.large) + std::string(name.substr(rule.small.size())));
  return found.value_or(kNoType);
}

TypeId Containers::storage(const ContainerRule& rule, TypeId record, std::string_view member) const {
  if (rule.storage.empty() || member != rule.storage) return kNoType;
  const auto arguments = types_->arguments(record);
  if (rule.storage_argument < 0 || static_cast<size_t>(rule.storage_argument) >= arguments.size()) return kNoType;
  return arguments[static_cast<size_t>(rule.storage_argument)];
}

std::optional<Containers::Stored> Containers::stored_at(const ContainerRule& rule, TypeId record,
                                                        uint64_t offset_bytes) const {
  struct Part {
    TypeId type;
    uint64_t offset_bytes;
  };
  std::vector<Part> pending = {{record, 0}};
  for (size_t i = 0; i < pending.size() && i < 64; ++i) {  // the storage sits in a base or two
    const Part part = pending[i];
    for (const Field& field : types_->fields(part.type)) {
      const uint64_t begin = part.offset_bytes + field.offset_bytes;
      const TypeId stored = storage(rule, record, field.name);
      if (stored != kNoType && offset_bytes >= begin && offset_bytes - begin < types_->size_bytes(stored)) {
        return Stored{stored, begin};
      }
      if (field.type == kNoType) continue;
      const TypeKind kind = (*types_)[field.type].kind;
      if (kind == TypeKind::record || kind == TypeKind::union_) pending.push_back({field.type, begin});
    }
  }
  return std::nullopt;
}

bool Containers::is_node_base(TypeId record) const {
  if (record == kNoType) return false;
  const std::string_view name = (*types_)[record].name;
  return std::ranges::any_of(kRules,
                             [&](const ContainerRule& rule) { return !rule.base.empty() && rule.base == name; });
}

}  // namespace heapwalk
