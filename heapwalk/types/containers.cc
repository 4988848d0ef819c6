#include "heapwalk/types/containers.h"

#include <algorithm>
#include <array>
#include <string>

#include "heapwalk/types/member_path.h"

namespace heapwalk {
namespace {

// libc++ keeps the version of its ABI in an inline namespace; builds for other systems call it otherwise.
constexpr std::array<std::string_view, 3> kOtherNamespaces = {"std::__2::", "std::__ndk1::", "std::__Cr::"};

// The template's name as the rules have it.
std::string library_name(std::string_view name) {
  name = template_name(name);
  for (std::string_view other : kOtherNamespaces) {
    if (name.starts_with(other)) return "std::__1::" + std::string(name.substr(other.size()));
  }
  return std::string(name);
}

}  // namespace

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

Containers::Containers(const TypeTable& types) : types_(&types), is_node_base_(types.size()) {
  std::unordered_map<std::string_view, uint64_t> wanted;  // node templates, numbered
  std::unordered_set<std::string_view> bases;
  for (size_t i = 0; i < container_rules().size(); ++i) {
    const ContainerRule& rule = container_rules()[i];
    by_template_.emplace(rule.record, &rule);
    if (!rule.node.empty()) wanted.emplace(rule.node, i);
    for (std::string_view rest = rule.base; !rest.empty();) {
      const size_t end = rest.find('|');
      bases.insert(rest.substr(0, end));
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
  }
  for (uint32_t i = 0; i < types.size(); ++i) {
    const Type& type = types[TypeId{i}];
    if (type.kind != TypeKind::record || type.name.empty()) continue;
    const std::string name = library_name(type.name);
    is_node_base_[i] = bases.contains(name);
    if (type.argument_count == 0) continue;
    if (auto at = wanted.find(name); at != wanted.end()) {
      nodes_[at->second << 32 | index(types.arguments(TypeId{i})[0])].push_back(TypeId{i});
    }
  }
}

const ContainerRule* Containers::rule_of(TypeId record) const {
  if (record == kNoType || (*types_)[record].kind != TypeKind::record) return nullptr;
  auto at = by_template_.find(library_name((*types_)[record].name));
  return at == by_template_.end() ? nullptr : at->second;
}

TypeId Containers::refine(const ContainerRule& rule, TypeId record, TypeId target) const {
  const auto arguments = types_->arguments(record);
  if (rule.element_argument >= 0 && static_cast<size_t>(rule.element_argument) < arguments.size()) {
    return arguments[static_cast<size_t>(rule.element_argument)];
  }
  if (target == kNoType || !is_one_of(library_name((*types_)[target].name), rule.base)) return target;
  if (rule.node_argument == ContainerRule::kSelf) return record;
  if (rule.node_argument < 0 || static_cast<size_t>(rule.node_argument) >= arguments.size()) return target;
  const auto number = static_cast<uint64_t>(&rule - container_rules().data());
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
  if (!is_one_of(member, rule.storage)) return kNoType;
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

}  // namespace heapwalk
