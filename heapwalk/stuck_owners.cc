#include "heapwalk/stuck_owners.h"

#include <algorithm>
#include <unordered_map>

#include "heapwalk/reference_scan.h"

namespace heapwalk {
namespace {

class Search {
 public:
  Search(const RetentionGraph& graph, const ObjectIndex& objects, const RootSet& roots)
      : graph_(graph),
        roots_(roots),
        is_reached_(graph.node_count()),
        is_silent_(graph.node_count()),
        is_waker_(graph.node_count()) {
    for (Address record : roots.wait_records)
      if (auto object = objects.find_used(record)) is_silent_[index(graph.node_of(*object))] = true;
    for (const Waiting& waiting : roots.waiting) {
      const NodeId owner = owner_node(roots, waiting.owner);
      bool can_wait = true;
      for (Address on : waiting.on) {
        const auto object = objects.find_used(on);
        if (object) {
          wakes_[index(graph.node_of(*object))].push_back(owner);
          is_waker_[index(graph.node_of(*object))] = true;
        }
        can_wait = can_wait && object;  // what lies outside of the heap may be used by anybody
      }
      is_asleep_[index(owner)] = can_wait;
    }
  }

  std::vector<uint32_t> run() {
    reach(kProcessNode);
    while (!pending_.empty()) {
      const NodeId node = pending_.back();
      pending_.pop_back();
      if (is_silent_[index(node)]) continue;
      for (NodeId target : graph_.targets(node)) reach(target);
    }
    std::vector<uint32_t> stuck;
    for (const Waiting& waiting : roots_.waiting)
      if (!is_reached_[index(owner_node(roots_, waiting.owner))]) stuck.push_back(waiting.owner);
    std::ranges::sort(stuck);
    return stuck;
  }

 private:
  void reach(NodeId node) {
    if (is_reached_[index(node)]) return;
    if (!graph_.is_object(node)) {
      auto asleep = is_asleep_.find(index(node));
      if (asleep != is_asleep_.end() && asleep->second) return;
    }
    is_reached_[index(node)] = true;
    graph_.prefetch_offsets(node);
    pending_.push_back(node);
    if (!is_waker_[index(node)]) return;
    for (NodeId owner : wakes_[index(node)]) {
      if (is_reached_[index(owner)]) continue;
      is_reached_[index(owner)] = true;
      pending_.push_back(owner);
    }
  }

  const RetentionGraph& graph_;
  const RootSet& roots_;
  std::vector<bool> is_reached_, is_silent_, is_waker_;
  std::unordered_map<uint32_t, bool> is_asleep_;             // by owner's node
  std::unordered_map<uint32_t, std::vector<NodeId>> wakes_;  // by object's node
  std::vector<NodeId> pending_;
};

}  // namespace

std::vector<uint32_t> find_stuck_owners(const RetentionGraph& graph, const ObjectIndex& objects, const RootSet& roots) {
  if (roots.waiting.empty()) return {};
  return Search(graph, objects, roots).run();
}

}  // namespace heapwalk
