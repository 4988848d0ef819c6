#include "heapwalk/path_description.h"

#include <algorithm>

#include "heapwalk/field_names.h"
#include "heapwalk/path_finder.h"

namespace heapwalk {
namespace {

// The offset of the first word in `range` that points into `target`.
std::optional<uint64_t> find_word(const AddressSpace& memory, AddressRange range, AddressRange target) {
  constexpr uint64_t kPiece = 1 << 20;
  for (Address at = range.begin.align_up(8); at < range.end;) {
    Bytes bytes = memory.read(at, std::min(kPiece, range.end - at));
    for (size_t offset = 0; offset + 8 <= bytes.size(); offset += 8)
      if (target.contains(Address{load<uint64_t>(bytes.data() + offset)})) return at + offset - range.begin;
    if (bytes.size() < 8) return std::nullopt;
    at = at + (bytes.size() & ~uint64_t{7});
  }
  return std::nullopt;
}

AddressRange object_range(const Analysis& analysis, NodeId node) {
  const ObjectId object = analysis.graph.object_of(node);
  return AddressRange::of(analysis.objects.address(object), analysis.objects.size_bytes(object));
}

const Root* root_of(const Analysis& analysis, NodeId node) {
  const uint32_t first = index(root_node(analysis.roots, 0));
  if (index(node) < first || analysis.graph.is_object(node)) return nullptr;
  return &analysis.roots.roots[index(node) - first];
}

// The type of a place and how often it stands there, as far as they are known.
ObjectShape shape_of(const Analysis& analysis, NodeId node, const Root* root) {
  if (root == nullptr) return analysis.types->shape_of(analysis.graph.object_of(node));
  return {.element = root->type, .layout = analysis.types->layout_of(root->type)};
}

// How one node of a path refers to the next: by which word, and what that is called.
struct Reference {
  Address word;
  std::string field;
};

// The typed pointer of a place that leads to `target`; nothing when it is none of them.
std::optional<Reference> typed_reference(const Analysis& analysis, const ObjectShape& shape, AddressRange place,
                                         AddressRange target) {
  if (shape.layout == nullptr || shape.layout->size_bytes == 0) return std::nullopt;
  const ObjectTypes& types = *analysis.types;
  for (Address at = place.begin + shape.header_bytes; at < place.end; at = at + shape.layout->size_bytes) {
    for (const PointerSlot& slot : shape.layout->slots) {
      const auto word = analysis.dump->memory.read_pointer(at + slot.offset_bytes);
      if (!word || !target.contains(*word) || !place.contains(at + slot.offset_bytes)) continue;
      std::string name = field_name(types.table(), types.containers(), shape.element, slot.offset_bytes);
      if (shape.is_array) name = name.empty() || name.starts_with('[') ? "[…]" + name : "[…]." + name;
      return Reference{at + slot.offset_bytes, std::move(name)};
    }
    if (!shape.is_array) break;
  }
  return std::nullopt;
}

// Where `from` refers to `to`: a field's name, else "+0x18"; without a name when `from` holds the value itself (a
// register, a pointer variable).
Reference find_reference(const Analysis& analysis, NodeId from, NodeId to) {
  if (!analysis.graph.is_object(to)) return {};
  const Root* root = root_of(analysis, from);
  if (root == nullptr && !analysis.graph.is_object(from)) return {};
  const AddressRange place = root != nullptr ? root->location : object_range(analysis, from);
  const AddressRange target = object_range(analysis, to);
  if (auto reference = typed_reference(analysis, shape_of(analysis, from, root), place, target)) return *reference;
  auto offset = find_word(analysis.dump->memory, place, target);
  if (!offset) return {};
  const Address word = place.begin + *offset;
  if (root != nullptr && *offset == 0 && place.size_bytes() <= 8) return {word, {}};
  if (root == nullptr || !root->sp_offset_bytes) return {word, fmt::format("+{:#x}", *offset)};
  const auto from_sp = static_cast<int64_t>(*offset) + *root->sp_offset_bytes;
  return {word, from_sp < 0 ? fmt::format("sp-{:#x}", -from_sp) : fmt::format("sp+{:#x}", from_sp)};
}

EdgeKind edge_kind(const RetentionGraph& graph, NodeId from, NodeId to) {
  auto targets = graph.targets(from);
  auto at = std::ranges::lower_bound(targets, index(to), {}, [](NodeId n) { return index(n); });
  if (at == targets.end() || *at != to) return EdgeKind::conservative;
  return graph.kind(from, static_cast<uint32_t>(at - targets.begin()));
}

}  // namespace

std::string node_name(const Analysis& analysis, NodeId node) {
  if (node == kProcessNode) return "process";
  if (node == kUnreachableNode) return "unreachable";
  if (analysis.graph.is_object(node)) {
    const TypeClaim claim = analysis.types->type_of(analysis.objects, analysis.graph.object_of(node));
    return std::string(analysis.types->name(claim.type));
  }
  if (const Root* root = root_of(analysis, node)) return root->name;
  return analysis.roots.owners[index(node) - index(owner_node(analysis.roots, 0))].name;
}

RootPath describe_path(const Analysis& analysis, const std::vector<NodeId>& path) {
  RootPath result;
  if (path.empty()) return result;
  result.retained_bytes = analysis.dominators.retained_bytes(path.back());
  const Root* root = root_of(analysis, path.front());
  if (root != nullptr) {
    result.root_name = root->name;
    result.root_kind = to_string(root->kind);
    result.root_owner = analysis.roots.owner_name(*root);
    result.root_source = root->source;
  } else {
    result.root_name = node_name(analysis, path.front());
    result.root_kind = "unreachable";
  }
  for (size_t i = 0; i < path.size(); ++i) {
    PathStep step;
    step.type = node_name(analysis, path[i]);
    step.retained_bytes = analysis.dominators.retained_bytes(path[i]);
    if (analysis.graph.is_object(path[i]))
      step.address = object_range(analysis, path[i]).begin;
    else if (root != nullptr)
      step.address = root->location.begin;
    if (i > 0) {
      Reference reference = find_reference(analysis, path[i - 1], path[i]);
      step.reference = reference.word;
      step.field = std::move(reference.field);
      step.edge = edge_kind(analysis.graph, path[i - 1], path[i]);
    }
    PathStep* last = result.steps.empty() ? nullptr : &result.steps.back();
    if (i > 1 && last != nullptr && last->type == step.type && last->field == step.field && last->edge == step.edge) {
      ++last->repeat;
      last->address = step.address;  // a folded step shows where the run ends
      last->reference = step.reference;
      last->retained_bytes = step.retained_bytes;
    } else {
      result.steps.push_back(std::move(step));
    }
  }
  return result;
}

}  // namespace heapwalk
