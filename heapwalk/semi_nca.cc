#include "heapwalk/semi_nca.h"

#include <algorithm>

#include "heapwalk/large_pages.h"

namespace heapwalk {

template <class Offset>
DepthFirstTree search_depth_first(const VertexRows<Offset>& rows, const std::vector<uint32_t>& roots) {
  struct Frame {
    uint32_t vertex;
    Offset next;  // position of an edge to a vertex that was unvisited when the frame was left
  };
  DepthFirstTree tree;
  assign_large(tree.number, rows.offsets.size() - 1, kNoVertex);
  reserve_large(tree.parent, tree.number.size());
  std::vector<Frame> frames;
  auto visit = [&](uint32_t vertex, uint32_t parent) {
    tree.number[vertex] = static_cast<uint32_t>(tree.parent.size());
    tree.parent.push_back(parent);
  };
  auto next_unvisited = [&](uint32_t vertex, Offset edge) {
    Offset end = rows.offsets[vertex + 1];
    while (edge < end && tree.number[rows.targets[edge]] != kNoVertex) ++edge;
    return edge;
  };
  for (uint32_t root : roots) {
    visit(root, kNoVertex);
    Frame at{root, rows.offsets[root]};
    for (;;) {
      Offset edge = next_unvisited(at.vertex, at.next);
      if (edge == rows.offsets[at.vertex + 1]) {
        if (frames.empty()) break;
        at = frames.back();
        frames.pop_back();
        continue;
      }
      uint32_t child = rows.targets[edge];
      __builtin_prefetch(&rows.offsets[child]);
      visit(child, tree.number[at.vertex]);
      at.next = next_unvisited(at.vertex, edge + 1);
      if (at.next != rows.offsets[at.vertex + 1]) frames.push_back(at);
      at = {child, rows.offsets[child]};
    }
  }
  return tree;
}

namespace {

// The forest of vertices after the current one. label: the least semi on the compressed path to the forest's edge.
class Forest {
 public:
  explicit Forest(const std::vector<uint32_t>& parent) {
    reserve_large(ancestor_, parent.size());
    ancestor_ = parent;
    assign_large(label_, parent.size(), 0);
  }

  void set_label(uint32_t vertex, uint32_t semi) { label_[vertex] = semi; }

  // The least label among `vertex` and its ancestors after `current`.
  uint32_t evaluate(uint32_t vertex, uint32_t current) {
    uint32_t below = kNoVertex;
    while (is_linked(ancestor_[vertex], current)) {  // up, turning the path around
      uint32_t above = ancestor_[vertex];
      ancestor_[vertex] = below;
      below = vertex;
      vertex = above;
    }
    uint32_t least = label_[vertex];
    uint32_t top = ancestor_[vertex];
    while (below != kNoVertex) {  // down again
      uint32_t next = ancestor_[below];
      least = std::min(least, label_[below]);
      label_[below] = least;
      ancestor_[below] = top;
      below = next;
    }
    return least;
  }
  void prefetch(uint32_t vertex) const {
    __builtin_prefetch(&ancestor_[vertex]);
    __builtin_prefetch(&label_[vertex]);
  }

 private:
  static bool is_linked(uint32_t ancestor, uint32_t current) { return ancestor > current && ancestor != kNoVertex; }

  std::vector<uint32_t> ancestor_;
  std::vector<uint32_t> label_;
};

// Nearest common ancestors of parent(w) and semi(w), w ascending; `idom` begins as the parents.
class AncestorSearch {
 public:
  explicit AncestorSearch(std::vector<uint32_t>& idom) : idom_(idom), steps_left_(idom.size() * 16 + 1024) {}

  void place(uint32_t vertex, uint32_t semi) {
    uint32_t at = idom_[vertex];
    if (jump_.empty()) {
      while (at > semi) {
        at = idom_[at];
        --steps_left_;
      }
      idom_[vertex] = at;
      if (steps_left_ < 0) build_jumps(vertex);
    } else {
      while (at > semi) at = jump_[at] > semi ? jump_[at] : idom_[at];
      idom_[vertex] = at;
      add_jump(vertex);
    }
  }
  void place_root(uint32_t vertex) {
    if (!jump_.empty()) add_jump(vertex);
  }

 private:
  void build_jumps(uint32_t last) {
    jump_.resize(idom_.size());
    depth_.resize(idom_.size());
    for (uint32_t vertex = 0; vertex <= last; ++vertex) add_jump(vertex);
  }
  void add_jump(uint32_t vertex) {
    uint32_t above = idom_[vertex];
    if (above == kNoVertex) {
      jump_[vertex] = vertex;
      return;
    }
    uint32_t far = jump_[above];
    depth_[vertex] = depth_[above] + 1;
    bool same_lengths = depth_[above] - depth_[far] == depth_[far] - depth_[jump_[far]];
    jump_[vertex] = same_lengths ? jump_[far] : above;
  }

  std::vector<uint32_t>& idom_;
  int64_t steps_left_;
  std::vector<uint32_t> jump_;  // empty while plain steps do
  std::vector<uint32_t> depth_;
};

// Replaces entries.offsets[w] by semi(w).
template <class Offset>
void find_semidominators(const std::vector<uint32_t>& parent, VertexRows<Offset>& entries) {
  constexpr Offset kAhead = 12;
  Forest forest(parent);
  Offset end = entries.offsets.back();
  for (auto vertex = static_cast<uint32_t>(parent.size()); vertex-- > 0;) {
    Offset begin = entries.offsets[vertex];
    uint32_t semi = parent[vertex];
    if (semi != kNoVertex) {
      for (Offset e = end; e-- > begin;) {
        if (e >= kAhead) forest.prefetch(entries.targets[e - kAhead]);
        uint32_t from = entries.targets[e];
        if (from == vertex) continue;
        semi = std::min(semi, from < vertex ? from : forest.evaluate(from, vertex));
      }
      forest.set_label(vertex, semi);
    }
    entries.offsets[vertex] = semi;
    end = begin;
  }
}

}  // namespace

template <class Offset>
std::vector<uint32_t> semi_nca(std::vector<uint32_t> parent, VertexRows<Offset> entries) {
  find_semidominators(parent, entries);
  std::vector<uint32_t>().swap(entries.targets);
  AncestorSearch search(parent);
  for (uint32_t vertex = 0; vertex < parent.size(); ++vertex) {
    if (parent[vertex] == kNoVertex) {
      search.place_root(vertex);
    } else {
      search.place(vertex, static_cast<uint32_t>(entries.offsets[vertex]));
    }
  }
  return parent;
}

template DepthFirstTree search_depth_first(const VertexRows<uint32_t>&, const std::vector<uint32_t>&);
template DepthFirstTree search_depth_first(const VertexRows<uint64_t>&, const std::vector<uint32_t>&);
template std::vector<uint32_t> semi_nca(std::vector<uint32_t>, VertexRows<uint32_t>);
template std::vector<uint32_t> semi_nca(std::vector<uint32_t>, VertexRows<uint64_t>);

}  // namespace heapwalk
