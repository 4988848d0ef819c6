// One queue serves all stages. When a stage runs dry, the next one walks the whole queue again, looking only at the edges
// of its own kind (the better ones have been followed), and then goes on with what it found. Every edge u → v is looked
// at exactly once, in stage max(stage(u), kind): it is admitted iff v is new, or was found in this same stage.
//
// The queue says which rows are next, so they are fetched ahead: offsets first, then targets, then the targets' marks.
#include "heapwalk/reachability.h"

#include <algorithm>

#include "heapwalk/large_pages.h"
#include "heapwalk/leak_roots.h"

namespace heapwalk {
namespace {

constexpr size_t kOffsetsAhead = 32;
constexpr size_t kTargetsAhead = 16;
constexpr size_t kMarksAhead = 8;
constexpr size_t kMarksPerRow = 8;

class Search {
 public:
  Search(const RetentionGraph& graph, const ObjectIndex& objects) : graph_(graph), objects_(objects) {
    uint32_t nodes = graph.node_count();
    assign_large(found_.parent, nodes, kNoNode);
    assign_large(found_.stage, nodes, static_cast<uint8_t>(Stage::none));
    found_.several_parents.assign(nodes, false);
    leads_back_.assign(nodes, false);
    reserve_large(found_.order, nodes);
  }

  Reachability run() {
    add(kProcessNode, kNoNode, Stage::exact);
    expand(0, Stage::exact);
    for (Stage stage : {Stage::conservative, Stage::tainted}) {
      auto kind = static_cast<EdgeKind>(stage);
      if (!graph_.has_kind(kind)) continue;
      size_t old = found_.order.size();
      revisit(old, kind);
      expand(old, stage);
    }
    add(kUnreachableNode, kNoNode, Stage::leaked);
    expand_leak_roots(unreferenced_nodes());
    std::vector<NodeId> cycles = unvisited_nodes();
    if (!cycles.empty()) expand_leak_roots(find_source_nodes(graph_, cycles));
    std::sort(found_.leak_roots.begin(), found_.leak_roots.end());
    pass_entries_up();
    return std::move(found_);
  }

 private:
  void add(NodeId node, NodeId parent, Stage stage) {
    found_.parent[index(node)] = parent;
    found_.stage[index(node)] = static_cast<uint8_t>(stage);
    found_.order.push_back(node);
  }

  // Looks at the edge from → to, which is worth `stage`.
  void follow(NodeId from, NodeId to, Stage stage) {
    uint8_t mark = found_.stage[index(to)];
    if (mark == static_cast<uint8_t>(Stage::none)) {
      graph_.prefetch_offsets(to);
      add(to, from, stage);
    } else if (mark == static_cast<uint8_t>(stage)) {
      if (found_.parent[index(from)] == to) {
        leads_back_[index(from)] = true;
      } else {
        found_.several_parents[index(to)] = true;
      }
    }
  }

  void fetch_ahead(size_t i) const {
    const std::vector<NodeId>& order = found_.order;
    if (i + kOffsetsAhead < order.size()) graph_.prefetch_offsets(order[i + kOffsetsAhead]);
    if (i + kTargetsAhead < order.size()) graph_.prefetch_targets(order[i + kTargetsAhead]);
    if (i + kMarksAhead < order.size()) {
      std::span<const NodeId> targets = graph_.targets(order[i + kMarksAhead]);
      for (NodeId target : targets.first(std::min(targets.size(), kMarksPerRow))) {
        __builtin_prefetch(&found_.stage[index(target)], 1);
        __builtin_prefetch(&found_.parent[index(target)], 1);
      }
    }
  }

  // All edges good enough for the stage, of the nodes from position `first` of the queue on.
  void expand(size_t first, Stage stage) {
    auto worst = static_cast<EdgeKind>(std::min(stage, Stage::tainted));
    for (size_t i = first; i < found_.order.size(); ++i) {
      fetch_ahead(i);
      NodeId from = found_.order[i];
      graph_.for_each_edge(from, [&](NodeId to, EdgeKind kind) {
        if (kind <= worst) follow(from, to, stage);
      });
    }
  }

  // The edges of one kind, of the nodes that earlier stages found: by the queue while it is short, else by the kind.
  void revisit(size_t count, EdgeKind kind) {
    auto stage = static_cast<Stage>(kind);
    if (count < std::max(graph_.node_count() / 4, RetentionGraph::kNodesPerBlock)) {
      for (size_t i = 0; i < count; ++i) {
        fetch_ahead(i);
        NodeId from = found_.order[i];
        graph_.for_each_edge(from, [&](NodeId to, EdgeKind k) {
          if (k == kind) follow(from, to, stage);
        });
      }
    } else {
      graph_.for_each_edge_of_kind(kind, [&](NodeId from, NodeId to) {
        if (found_.stage_of(from) < stage) follow(from, to, stage);
      });
    }
  }

  std::vector<NodeId> unvisited_nodes() const {
    std::vector<NodeId> nodes;
    for (uint32_t node = graph_.first_object(); node < graph_.node_count(); ++node) {
      if (found_.stage[node] == static_cast<uint8_t>(Stage::none) && objects_.is_used(graph_.object_of(NodeId{node}))) {
        nodes.push_back(NodeId{node});
      }
    }
    return nodes;
  }

  // Unvisited nodes that no unvisited node refers to.
  std::vector<NodeId> unreferenced_nodes() const {
    std::vector<NodeId> nodes = unvisited_nodes();
    if (nodes.empty()) return nodes;
    std::vector<bool> referenced(graph_.node_count());
    for (NodeId node : nodes) {
      for (NodeId target : graph_.targets(node)) referenced[index(target)] = true;
    }
    std::erase_if(nodes, [&](NodeId node) { return referenced[index(node)]; });
    return nodes;
  }

  void expand_leak_roots(const std::vector<NodeId>& roots) {
    size_t first = found_.order.size();
    for (NodeId root : roots) add(root, kUnreachableNode, Stage::leaked);
    found_.leak_roots.insert(found_.leak_roots.end(), roots.begin(), roots.end());
    expand(first, Stage::leaked);
  }

  // An edge back to the parent counts as an entry after all when its source can be entered from elsewhere. Children
  // stand after their parent in the queue, so one walk backwards settles whole lists and trees.
  void pass_entries_up() {
    for (size_t i = found_.order.size(); i-- > 0;) {
      uint32_t node = index(found_.order[i]);
      if (leads_back_[node] && found_.several_parents[node]) {
        found_.several_parents[index(found_.parent[node])] = true;
      }
    }
  }

  const RetentionGraph& graph_;
  const ObjectIndex& objects_;
  Reachability found_;
  std::vector<bool> leads_back_;  // has an admitted edge to its own parent
};

}  // namespace

Reachability find_reachable(const RetentionGraph& graph, const ObjectIndex& objects) {
  return Search(graph, objects).run();
}

}  // namespace heapwalk
