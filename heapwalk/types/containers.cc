#include "heapwalk/types/containers.h"

#include <string>
#include <unordered_set>
#include <utility>

#include "heapwalk/types/member_path.h"
#include "heapwalk/types/template_names.h"

namespace heapwalk {
namespace {

constexpr int kMaxForms = 64;  // of one node

TypeId found_in(const std::unordered_map<TypeId, TypeId>& map, TypeId type) {
  auto at = map.find(type);
  return at == map.end() ? kNoType : at->second;
}

}  // namespace

Containers::Containers(const TypeTable& types, LibraryTypes library)
    : types_(&types), library_(std::move(library)), rule_of_(types.size(), kNoRule), is_node_base_(types.size()) {
  add_rules(types);
  for (const auto& [node, bucket] : library_.buckets) is_node_base_[index(bucket)] = false;
  for (const auto& [small, large] : library_.larger) smaller_.emplace(large, small);
}

void Containers::add_rules(const TypeTable& types) {
  std::unordered_map<std::string_view, uint64_t> wanted;  // node templates, numbered
  std::unordered_set<std::string_view> bases;
  for (size_t i = 0; i < container_rules().size(); ++i) {
    const ContainerRule& rule = container_rules()[i];
    by_template_[rule.record].push_back(static_cast<uint16_t>(i));
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
    rule_of_[i] = find_rule(name, TypeId{i});
    if (auto at = wanted.find(name); at != wanted.end() && type.argument_count != 0) {
      nodes_[at->second << 32 | index(types.arguments(TypeId{i})[0])].push_back(TypeId{i});
    }
    if (rule_of_[i] == kNoRule || container_rules()[rule_of_[i]].large.empty()) continue;
    const auto large = types.find(std::string(container_rules()[rule_of_[i]].large) +
                                  std::string(type.name.substr(template_name(type.name).size())));
    if (large) library_.larger.emplace(TypeId{i}, *large);
  }
}

uint16_t Containers::find_rule(std::string_view name, TypeId record) const {
  auto at = by_template_.find(name);
  if (at == by_template_.end()) return kNoRule;
  for (uint16_t rule : at->second) {
    const std::string_view having = container_rules()[rule].having;
    if (having.empty() || find_member(*types_, record, having)) return rule;
  }
  return kNoRule;
}

TypeId Containers::element(const ContainerRule& rule, TypeId record) const {
  const TypeId known = library_.elements.empty() ? kNoType : found_in(library_.elements, record);
  return known != kNoType ? known : template_argument(*types_, record, rule.element_argument);
}

TypeId Containers::refine(const ContainerRule& rule, TypeId record, TypeId target) const {
  if (target == kNoType || !is_one_of(library_name((*types_)[target].name), rule.base)) return target;
  if (rule.node_argument == ContainerRule::kSelf) return record;
  const TypeId found = node(rule, record);
  return found == kNoType ? target : found;
}

TypeId Containers::node(const ContainerRule& rule, TypeId record) const {
  const TypeId value = template_argument(*types_, record, rule.node_argument);
  if (value == kNoType) return kNoType;
  const auto number = static_cast<uint64_t>(&rule - container_rules().data());
  auto at = nodes_.find(number << 32 | index(value));
  if (at == nodes_.end()) return kNoType;
  if (at->second.size() == 1) return at->second.front();
  // Hash nodes come with the hash kept and without; the table's traits begin with which.
  const bool keeps_hash = (*types_)[record].name.find("_Hashtable_traits<true") != std::string_view::npos;
  for (TypeId node : at->second) {
    if ((*types_)[node].name.ends_with(keeps_hash ? "true>" : "false>")) return node;
  }
  return kNoType;
}

TypeId Containers::bucket(const ContainerRule& rule, TypeId record) const {
  return rule.has_last_bucket ? found_in(library_.buckets, node(rule, record)) : kNoType;
}

TypeId Containers::described(TypeId target) const {
  if (library_.described.empty()) return target;
  const TypeId form = found_in(library_.described, target);
  return form == kNoType ? target : form;
}

TypeId Containers::larger(TypeId target) const {
  return library_.larger.empty() ? kNoType : found_in(library_.larger, target);
}

TypeId Containers::smallest(TypeId node) const {
  for (int i = 0; i < kMaxForms; ++i) {
    const TypeId smaller = found_in(smaller_, node);
    if (smaller == kNoType) break;
    node = smaller;
  }
  return node;
}

TypeId Containers::storage(const ContainerRule& rule, TypeId record, std::string_view member) const {
  return is_one_of(member, rule.storage) ? template_argument(*types_, record, rule.storage_argument) : kNoType;
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
