// The rows lead forward only. One path needs no more than the parents; further ones need the reverse direction, which
// is built here by counting, for the admitted edges of live nodes, and freed when the paths are found.
#include "heapwalk/path_finder.h"

#include <algorithm>

namespace heapwalk {
namespace {

// The live referrers of every node: targets[offsets[n] … offsets[n + 1]).
struct ReverseRows {
  std::vector<uint64_t> offsets;
  std::vector<NodeId> sources;

  std::span<const NodeId> of(NodeId node) const {
    return {sources.data() + offsets[index(node)], sources.data() + offsets[index(node) + 1]};
  }
};

template <class F>
void for_each_live_edge(const RetentionGraph& graph, const Reachability& reach, F f) {
  for (uint32_t node = graph.node_count(); node-- > 0;) {
    NodeId from{node};
    if (!reach.is_reachable(from)) continue;
    graph.for_each_edge(from, [&](NodeId to, EdgeKind kind) {
      if (is_admitted(reach.stage_of(from), kind, reach.stage_of(to))) f(from, to);
    });
  }
}

ReverseRows reverse(const RetentionGraph& graph, const Reachability& reach) {
  ReverseRows rows;
  rows.offsets.assign(size_t{graph.node_count()} + 1, 0);
  for_each_live_edge(graph, reach, [&](NodeId, NodeId to) { ++rows.offsets[index(to)]; });
  for (size_t node = 1; node < rows.offsets.size(); ++node) rows.offsets[node] += rows.offsets[node - 1];
  rows.sources.resize(rows.offsets.back());
  // Filling backwards from each row's end leaves the offset at its beginning and the sources ascending.
  for_each_live_edge(graph, reach, [&](NodeId from, NodeId to) { rows.sources[--rows.offsets[index(to)]] = from; });
  return rows;
}

bool is_root(const RetentionGraph& graph, NodeId node) {  // refers to objects, as neither the process nor owners do
  std::span<const NodeId> targets = graph.targets(node);
  return !graph.is_object(node) && !targets.empty() && graph.is_object(targets.back());
}

}  // namespace

std::vector<NodeId> shortest_path(const RetentionGraph& graph, const Reachability& reachability, NodeId object) {
  std::vector<NodeId> path;
  if (index(object) >= graph.node_count() || !graph.is_object(object) || !reachability.is_reachable(object))
    return path;
  NodeId node = object;
  for (; node != kNoNode && graph.is_object(node); node = reachability.parent[index(node)]) path.push_back(node);
  if (node != kNoNode) path.push_back(node);
  std::reverse(path.begin(), path.end());
  return path;
}

std::vector<std::vector<NodeId>> root_paths(const RetentionGraph& graph, const Reachability& reachability,
                                            NodeId object, size_t limit, const std::function<bool(NodeId)>& avoid) {
  std::vector<std::vector<NodeId>> paths;
  if (limit == 0 || index(object) >= graph.node_count() || !graph.is_object(object) ||
      !reachability.is_reachable(object) || avoid(object)) {
    return paths;
  }
  ReverseRows rows = reverse(graph, reachability);
  std::vector<NodeId> towards(graph.node_count(), kNoNode);  // the next node on the way to the object
  towards[index(object)] = object;
  std::vector<NodeId> level{object};
  while (!level.empty() && paths.size() < limit) {
    std::vector<NodeId> next;
    std::vector<NodeId> roots;
    for (NodeId node : level) {
      for (NodeId source : rows.of(node)) {
        if (towards[index(source)] != kNoNode || avoid(source)) continue;
        towards[index(source)] = node;
        if (graph.is_object(source)) {
          next.push_back(source);
        } else if (is_root(graph, source)) {
          roots.push_back(source);
        }
      }
    }
    std::sort(roots.begin(), roots.end());
    roots.resize(std::min(roots.size(), limit - paths.size()));
    for (NodeId root : roots) {
      std::vector<NodeId>& path = paths.emplace_back(1, root);
      while (path.back() != object) path.push_back(towards[index(path.back())]);
    }
    level = std::move(next);
  }
  return paths;
}

std::vector<Referrer> find_referrers(const RetentionGraph& graph, std::span<const NodeId> targets, size_t limit) {
  std::vector<Referrer> referrers;
  if (targets.empty()) return referrers;
  for (uint32_t node = 0; node < graph.node_count(); ++node) {
    graph.for_each_edge(NodeId{node}, [&](NodeId to, EdgeKind kind) {
      if (to < targets.front() || to > targets.back() || referrers.size() == limit) return;
      if (std::binary_search(targets.begin(), targets.end(), to)) referrers.push_back({NodeId{node}, to, kind});
    });
    if (referrers.size() == limit) break;
  }
  return referrers;
}

}  // namespace heapwalk
