#include "heapwalk/leak_roots.h"

#include <algorithm>

namespace heapwalk {
namespace {

// Takes everything reachable from `start` through nodes in `waiting` out of `waiting`.
void flood(const RetentionGraph& graph, NodeId start, std::vector<bool>& waiting, std::vector<NodeId>& queue) {
  queue.assign(1, start);
  waiting[index(start)] = false;
  while (!queue.empty()) {
    NodeId node = queue.back();
    queue.pop_back();
    for (NodeId target : graph.targets(node)) {
      if (!waiting[index(target)]) continue;
      waiting[index(target)] = false;
      queue.push_back(target);
    }
  }
}

}  // namespace

std::vector<NodeId> find_source_nodes(const RetentionGraph& graph, const std::vector<NodeId>& nodes) {
  std::vector<bool> waiting(graph.node_count());
  std::vector<NodeId> queue;
  auto restart = [&] {
    for (NodeId node : nodes) waiting[index(node)] = true;
  };
  std::vector<NodeId> starts;
  restart();
  for (NodeId node : nodes) {
    if (!waiting[index(node)]) continue;
    flood(graph, node, waiting, queue);
    starts.push_back(node);
  }
  std::vector<NodeId> sources;
  restart();
  for (auto start = starts.rbegin(); start != starts.rend(); ++start) {
    if (!waiting[index(*start)]) continue;
    flood(graph, *start, waiting, queue);
    sources.push_back(*start);
  }
  std::reverse(sources.begin(), sources.end());
  return sources;
}

}  // namespace heapwalk
