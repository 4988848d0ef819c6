#include "heapwalk/holders.h"

namespace heapwalk {
namespace {

constexpr std::string_view kSharedSuffix = " (shared)";

// One node in 64, whatever pattern the numbers of a list's nodes have.
bool remembers(NodeId node) {
  return (index(node) * 0x9e3779b1U) >> 26 == 0;
}

}  // namespace

std::string holder_name(const Root& root) {
  if (root.kind == RootKind::global) return root.name;  // of an unnamed one, with its place in the section
  const std::string& name = root.stable_name.empty() ? root.name : root.stable_name;
  return std::string(to_string(root.kind)).append(" ").append(name);
}

// The first node on the way up that is no object.
template <class Above>
NodeId Holders::end_of(NodeId object, Chain& known, Above above) const {
  std::vector<uint32_t> passed;
  NodeId at = object;
  for (; at != kNoNode && analysis_.graph.is_object(at); at = above(at)) {
    if (!remembers(at)) continue;
    if (const auto end = known.find(index(at)); end != known.end()) {
      at = end->second;
      break;
    }
    passed.push_back(index(at));
  }
  for (uint32_t node : passed) known.emplace(node, at);
  return at;
}

NodeId Holders::nearest_root(NodeId object) {
  return end_of(object, by_path_, [&](NodeId node) { return analysis_.reachability.parent[index(node)]; });
}

bool Holders::is_shared(NodeId object) {
  const NodeId end =
      end_of(object, by_dominator_, [&](NodeId node) { return analysis_.dominators.immediate_dominator(node); });
  if (end == kNoNode) return false;
  const uint32_t first_owner = index(owner_node(analysis_.roots, 0)), first_root = index(root_node(analysis_.roots, 0));
  if (index(end) >= first_root) return false;
  if (index(end) < first_owner) return true;  // the process
  const uint32_t owner = index(end) - first_owner;
  switch (analysis_.roots.owners[owner].kind) {
    case OwnerKind::goroutine:
      return is_group(analysis_.roots.owners, owner);
    case OwnerKind::thread:
    case OwnerKind::frame:
      return false;
    case OwnerKind::module:
    case OwnerKind::mappings:
    case OwnerKind::runtime:
      break;
  }
  return true;
}

uint32_t Holders::of(NodeId object) {
  const NodeId root = nearest_root(object);
  if (root == kNoNode || root == kUnreachableNode) {
    const Address address = analysis_.objects.address(analysis_.graph.object_of(object));
    return named(analysis_.managed.contains(address) ? "garbage" : "leaked");
  }
  const bool shared = is_shared(object);
  const auto [known, is_new] = of_roots_.try_emplace(uint64_t{index(root)} << 1 | (shared ? 1 : 0), 0);
  if (!is_new) return known->second;
  const uint32_t first_root = index(root_node(analysis_.roots, 0));
  std::string name =
      index(root) >= first_root ? holder_name(analysis_.roots.roots[index(root) - first_root]) : "process";
  if (shared) name += kSharedSuffix;
  return known->second = named(name);
}

uint32_t Holders::named(const std::string& name) {
  const auto [known, is_new] = by_name_.try_emplace(name, count());
  if (is_new) names_.push_back(name);
  return known->second;
}

}  // namespace heapwalk
