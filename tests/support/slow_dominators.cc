#include "tests/support/slow_dominators.h"

#include <algorithm>

namespace heapwalk {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

class Slow {
 public:
  explicit Slow(const GraphSketch& sketch) : sketch_(sketch), nodes_(sketch.node_count()) {
    for (uint32_t from = 0; from < std::min<size_t>(nodes_, sketch.rows.size()); ++from) {
      for (const Edge& edge : sketch.rows[from]) {
        if (index(edge.target) != from) edges_.push_back({from, index(edge.target), edge.kind});
      }
    }
  }

  SlowAnswer run() {
    answer_.stage.assign(nodes_, Stage::none);
    find_stages();
    find_leaks();
    find_idoms();
    return answer_;
  }

 private:
  struct ListedEdge {
    uint32_t from;
    uint32_t to;
    EdgeKind kind;
  };

  bool is_used(uint32_t node) const {
    if (node < sketch_.first_object) return true;
    uint32_t object = node - sketch_.first_object;
    return object >= sketch_.states.size() || sketch_.states[object] == AllocationState::used;
  }

  void find_stages() {
    answer_.stage[0] = Stage::exact;
    for (bool changed = true; changed;) {
      changed = false;
      for (const ListedEdge& edge : edges_) {
        if (answer_.stage[edge.from] == Stage::none) continue;
        Stage better = std::max(answer_.stage[edge.from], static_cast<Stage>(edge.kind));
        if (better < answer_.stage[edge.to]) {
          answer_.stage[edge.to] = better;
          changed = true;
        }
      }
    }
  }

  void find_leaks() {
    std::vector<uint32_t> leaked;
    for (uint32_t node = sketch_.first_object; node < nodes_; ++node) {
      if (is_used(node) && answer_.stage[node] == Stage::none) leaked.push_back(node);
    }
    for (uint32_t node : leaked) answer_.stage[node] = Stage::leaked;
    answer_.stage[1] = Stage::leaked;
    std::vector<std::vector<bool>> reaches(nodes_);
    for (uint32_t node : leaked) reaches[node] = reachable_from({node}, kNone, {});
    for (uint32_t node : leaked) {
      bool is_root = std::all_of(leaked.begin(), leaked.end(), [&](uint32_t other) {
        // Whoever reaches the node must be in its component, and must not stand before it.
        return other == node || !reaches[other][node] || (reaches[node][other] && other > node);
      });
      if (is_root) answer_.leak_roots.push_back(node);
    }
  }

  // Over admitted edges, and `extra` ones, not through `without`.
  std::vector<bool> reachable_from(std::vector<uint32_t> starts, uint32_t without,
                                   const std::vector<ListedEdge>& extra) const {
    std::vector<bool> seen(nodes_);
    for (uint32_t start : starts) seen[start] = start != without;
    auto pass = [&](const std::vector<ListedEdge>& edges, bool& changed) {
      for (const ListedEdge& edge : edges) {
        if (!seen[edge.from] || seen[edge.to] || edge.to == without) continue;
        if (!is_admitted(answer_.stage[edge.from], edge.kind, answer_.stage[edge.to])) continue;
        seen[edge.to] = changed = true;
      }
    };
    for (bool changed = true; changed;) {
      changed = false;
      pass(edges_, changed);
      pass(extra, changed);
    }
    return seen;
  }

  void find_idoms() {
    std::vector<ListedEdge> leaks;
    for (uint32_t root : answer_.leak_roots) leaks.push_back({1, root, EdgeKind::exact});
    std::vector<bool> all = reachable_from({0, 1}, kNone, leaks);
    std::vector<std::vector<uint32_t>> dominators(nodes_);
    answer_.retained_bytes.assign(nodes_, 0);
    answer_.retained_objects.assign(nodes_, 0);
    for (uint32_t taken = 0; taken < nodes_; ++taken) {
      if (!all[taken]) continue;
      std::vector<bool> left = reachable_from({0, 1}, taken, leaks);
      for (uint32_t node = 0; node < nodes_; ++node) {
        if (!all[node] || left[node]) continue;
        if (node != taken) dominators[node].push_back(taken);
        if (node < sketch_.first_object) continue;
        answer_.retained_bytes[taken] += sketch_.sizes[node - sketch_.first_object];
        ++answer_.retained_objects[taken];
      }
    }
    answer_.idom.assign(nodes_, kNone);
    for (uint32_t node = 0; node < nodes_; ++node) {
      for (uint32_t d : dominators[node]) {
        uint32_t& idom = answer_.idom[node];
        if (idom == kNone || dominators[d].size() > dominators[idom].size()) idom = d;
      }
    }
  }

  const GraphSketch& sketch_;
  uint32_t nodes_;
  std::vector<ListedEdge> edges_;
  SlowAnswer answer_;
};

}  // namespace

SlowAnswer slow_answer(const GraphSketch& sketch) {
  return Slow(sketch).run();
}

}  // namespace heapwalk
