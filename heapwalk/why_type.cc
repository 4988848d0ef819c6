#include "heapwalk/why_type.h"

#include <algorithm>

#include "heapwalk/path_description.h"
#include "heapwalk/stack_trie.h"

namespace heapwalk {
namespace {

constexpr size_t kMaxLines = 1 << 20;      // distinct sequences of types
constexpr size_t kMaxStepsOfLongest = 48;  // a longest path with more steps is not shown

struct Line {
  uint64_t objects = 0, bytes = 0, retained_bytes = 0;
  NodeId nearest = kNoNode, farthest = kNoNode;  // objects of the type
};

class TypePaths {
 public:
  TypePaths(const Analysis& analysis, std::string_view type, const std::string& avoid)
      : analysis_(analysis), graph_(analysis.graph), first_root_(index(root_node(analysis.roots, 0))), avoid_(avoid) {
    const ObjectTypes& types = *analysis.types;
    for (uint32_t each = 0; each < types.type_count(); ++each) {
      is_wanted_.push_back(types.name(each) == type);
      is_avoided_.push_back(!avoid.empty() && types.name(each) == avoid);
    }
  }

  WhyTypeAnswer answer(size_t limit) {
    WhyTypeAnswer result;
    mark_inner_objects(result);
    if (avoid_.empty()) {
      follow(analysis_.reachability.order, analysis_.reachability.parent);
    } else {
      search_around_avoided();
      follow(order_, parent_);
    }
    choose_lines(limit, result);
    return result;
  }

 private:
  uint32_t type_of(NodeId node) const {
    return analysis_.types->type_of(analysis_.objects, graph_.object_of(node)).type;
  }
  bool is_target(NodeId node) const { return graph_.is_object(node) && is_wanted_[type_of(node)]; }
  uint64_t size_bytes(NodeId node) const { return analysis_.objects.size_bytes(graph_.object_of(node)); }

  // An inner object has a dominator of its own type: its retained bytes are that one's already. Sums up what does not
  // depend on paths on the way.
  void mark_inner_objects(WhyTypeAnswer& result) {
    below_target_.resize(graph_.node_count());
    for (NodeId node : analysis_.reachability.order) {
      const NodeId dominator = analysis_.dominators.immediate_dominator(node);
      const bool is_inner = dominator != kNoNode && below_target_[index(dominator)];
      const bool is_one = is_target(node);
      below_target_[index(node)] = is_inner || is_one;
      if (!is_one) continue;
      ++result.targets;
      result.bytes += size_bytes(node);
      if (!is_inner) result.retained_bytes += analysis_.dominators.retained_bytes(node);
      if (analysis_.reachability.is_reachable(node)) continue;
      ++result.leaked_objects;
      if (analysis_.managed.contains(analysis_.objects.address(analysis_.graph.object_of(node))))
        ++result.garbage_objects;
      result.leaked_bytes += size_bytes(node);
    }
  }
  bool is_inner(NodeId node) const {
    const NodeId dominator = analysis_.dominators.immediate_dominator(node);
    return dominator != kNoNode && below_target_[index(dominator)];
  }

  bool is_avoided(NodeId node) const {
    if (graph_.is_object(node)) return is_avoided_[type_of(node)];
    if (index(node) < first_root_) return false;
    const Root& root = analysis_.roots.roots[index(node) - first_root_];
    return root.name == avoid_ || root.stable_name == avoid_;
  }

  // Breadth first over admitted edges, as if the avoided nodes were not there.
  void search_around_avoided() {
    const Reachability& reach = analysis_.reachability;
    std::vector<bool> is_seen(graph_.node_count());
    parent_.assign(graph_.node_count(), kNoNode);
    order_ = {kProcessNode};
    is_seen[index(kProcessNode)] = true;
    for (size_t at = 0; at < order_.size(); ++at) {
      const NodeId node = order_[at];
      graph_.for_each_edge(node, [&](NodeId to, EdgeKind kind) {
        if (is_seen[index(to)] || !is_admitted(reach.stage_of(node), kind, reach.stage_of(to))) return;
        is_seen[index(to)] = true;
        if (is_avoided(to)) return;
        parent_[index(to)] = node;
        order_.push_back(to);
      });
    }
  }

  // Every live node's line, and each target added to its own.
  void follow(const std::vector<NodeId>& order, const std::vector<NodeId>& parent) {
    parents_ = &parent;
    const auto type_count = static_cast<uint32_t>(is_wanted_.size());
    std::vector<uint32_t> line_of(graph_.node_count(), StackTrie::kTop);
    for (NodeId node : order) {
      if (!analysis_.reachability.is_reachable(node) || index(node) < first_root_) continue;
      if (!graph_.is_object(node)) {
        line_of[index(node)] = trie_.child(StackTrie::kTop, type_count + index(node) - first_root_);
        continue;
      }
      const uint32_t type = type_of(node);
      const NodeId from = parent[index(node)];
      const uint32_t line = trie_.child(from == kNoNode ? StackTrie::kTop : line_of[index(from)], type);
      line_of[index(node)] = line;
      if (is_wanted_[type]) add(line, node);
    }
  }

  void add(uint32_t number, NodeId node) {
    if (number >= lines_.size()) lines_.resize(trie_.size());
    Line& line = lines_[number];
    ++line.objects;
    line.bytes += size_bytes(node);
    if (!is_inner(node)) line.retained_bytes += analysis_.dominators.retained_bytes(node);
    if (line.nearest == kNoNode) line.nearest = node;
    line.farthest = node;
  }

  void choose_lines(size_t limit, WhyTypeAnswer& result) {
    std::erase_if(lines_, [](const Line& line) { return line.objects == 0; });
    result.path_count = lines_.size();
    result.avoided_objects = result.targets - result.leaked_objects;
    result.avoided_bytes = result.bytes - result.leaked_bytes;
    for (const Line& line : lines_) {
      result.avoided_objects -= line.objects;
      result.avoided_bytes -= line.bytes;
    }
    std::ranges::stable_sort(lines_, std::greater<>(), [](const Line& line) {
      return std::pair(std::max(line.retained_bytes, line.bytes), line.objects);
    });
    for (const Line& line : std::span(lines_).first(std::min(limit, lines_.size()))) {
      MergedPath merged{describe(line), line.bytes};
      merged.path.count = line.objects;
      merged.path.retained_bytes = line.retained_bytes;
      result.paths.push_back(std::move(merged));
    }
  }

  RootPath describe(const Line& line) const {
    RootPath longest = describe_path(analysis_, path_to(line.farthest));
    return longest.steps.size() <= kMaxStepsOfLongest ? longest : describe_path(analysis_, path_to(line.nearest));
  }

  std::vector<NodeId> path_to(NodeId node) const {  // from the root's node
    std::vector<NodeId> path;
    for (; node != kNoNode && index(node) >= first_root_; node = (*parents_)[index(node)]) path.push_back(node);
    std::ranges::reverse(path);
    return path;
  }

  const Analysis& analysis_;
  const RetentionGraph& graph_;
  uint32_t first_root_;
  const std::string& avoid_;
  std::vector<bool> is_wanted_, is_avoided_;  // by type
  std::vector<bool> below_target_;            // by node: it or a dominator of it is of the type
  std::vector<NodeId> order_, parent_;        // of the search around what is avoided
  const std::vector<NodeId>* parents_ = nullptr;
  StackTrie trie_{kMaxLines};
  std::vector<Line> lines_;  // by node of the trie
};

}  // namespace

WhyTypeAnswer explain_type(const Analysis& analysis, std::string_view type, const WhyOptions& options) {
  WhyTypeAnswer answer = TypePaths(analysis, type, options.avoid).answer(options.paths);
  answer.type = type;
  return answer;
}

}  // namespace heapwalk
