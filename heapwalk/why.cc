#include "heapwalk/why.h"

#include <algorithm>

#include "heapwalk/path_description.h"
#include "heapwalk/path_finder.h"

namespace heapwalk {
namespace {

// True for nodes that the user named in --avoid.
class Avoided {
 public:
  Avoided(const Analysis& analysis, const std::string& name)
      : analysis_(analysis), name_(name), first_root_(index(root_node(analysis.roots, 0))) {}

  bool operator()(NodeId node) const {
    if (name_.empty()) return false;
    const RetentionGraph& graph = analysis_.graph;
    if (graph.is_object(node)) return node_name(analysis_, node) == name_;
    if (index(node) < first_root_) return false;
    const Root& root = analysis_.roots.roots[index(node) - first_root_];
    return root.name == name_ || root.stable_name == name_;
  }

 private:
  const Analysis& analysis_;
  const std::string& name_;
  uint32_t first_root_;
};

// From the leak root down to the object.
std::vector<NodeId> leak_path(const Analysis& analysis, NodeId node) {
  std::vector<NodeId> path;
  for (NodeId at = node; at != kNoNode && at != kUnreachableNode; at = analysis.reachability.parent[index(at)]) {
    path.push_back(at);
  }
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace

Result<WhyAnswer> explain_object(const Analysis& analysis, Address address, const WhyOptions& options) {
  std::optional<ObjectId> object = analysis.objects.find(address);
  if (!object) {
    return fail("{}: object at {:#x}: wanted an address inside an allocation, found none there", analysis.dump->path,
                address.value);
  }
  WhyAnswer answer;
  answer.targets = 1;
  answer.object = analysis.objects.at(*object);
  if (answer.object.state != AllocationState::used) return answer;

  NodeId node = analysis.graph.node_of(*object);
  answer.type = node_name(analysis, node);
  answer.retained_bytes = analysis.dominators.retained_bytes(node);
  answer.retained_objects = analysis.dominators.retained_objects({node}, analysis.reachability, analysis.graph).front();
  answer.reachable = analysis.reachability.is_reachable(node);
  if (!answer.reachable) {
    answer.leak = describe_path(analysis, leak_path(analysis, node));
    answer.is_garbage = analysis.managed.contains(answer.object.address);
    return answer;
  }
  Avoided avoided(analysis, options.avoid);
  for (const auto& path : root_paths(analysis.graph, analysis.reachability, node, options.paths, avoided)) {
    answer.paths.push_back(describe_path(analysis, path));
  }
  return answer;
}

}  // namespace heapwalk
