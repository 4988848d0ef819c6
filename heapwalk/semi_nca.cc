// Numbers below are preorder numbers unless they are called vertices.
#include "heapwalk/semi_nca.h"

#include <algorithm>
#include <atomic>

#include "dump/base/parallel.h"

#include "heapwalk/large_pages.h"

namespace heapwalk {
namespace {

struct DepthFirstTree {
  std::vector<uint32_t> number;  // by vertex
  std::vector<uint32_t> parent;  // by number: the parent's number; kNoVertex for roots
};

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
    constexpr Offset kFetched = 8;
    Offset begin = rows.offsets[vertex];
    for (Offset e = begin; e < std::min<Offset>(begin + kFetched, rows.offsets[vertex + 1]); ++e) {
      __builtin_prefetch(&tree.number[rows.targets[e]], 1);
      __builtin_prefetch(&rows.offsets[rows.targets[e]]);
    }
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
      visit(child, tree.number[at.vertex]);
      at.next = next_unvisited(at.vertex, edge + 1);
      if (at.next != rows.offsets[at.vertex + 1]) frames.push_back(at);
      at = {child, rows.offsets[child]};
    }
  }
  return tree;
}

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

// By number: the immediate dominator's number, kNoVertex for roots.
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

template <class Offset>
Offset fetch_add(Offset& counter, Offset amount, bool shared) {
  if (shared) return std::atomic_ref<Offset>(counter).fetch_add(amount, std::memory_order_relaxed);
  Offset old = counter;
  counter = static_cast<Offset>(counter + amount);
  return old;
}

// By number: the numbers of all predecessors but the parent, in an order that depends on the threads.
template <class Offset>
VertexRows<Offset> turn_around(const VertexRows<Offset>& rows, const DepthFirstTree& tree, size_t threads) {
  VertexRows<Offset> entries;
  size_t vertices = tree.parent.size();
  assign_large(entries.offsets, vertices + 1, 0);
  auto for_each_entry = [&](auto f) {
    constexpr size_t kPiece = size_t{1} << 15;
    parallel_for((vertices + kPiece - 1) / kPiece, threads, [&](size_t piece) {
      size_t last = std::min(vertices, (piece + 1) * kPiece);
      for (size_t vertex = piece * kPiece; vertex < last; ++vertex) {
        uint32_t from = tree.number[vertex];
        for (Offset edge = rows.offsets[vertex]; edge < rows.offsets[vertex + 1]; ++edge) {
          uint32_t to = tree.number[rows.targets[edge]];
          if (tree.parent[to] != from) f(from, to);
        }
      }
    });
  };
  bool shared = threads > 1;
  for_each_entry([&](uint32_t, uint32_t to) { fetch_add<Offset>(entries.offsets[to], 1, shared); });
  for (size_t i = 1; i <= vertices; ++i) entries.offsets[i] += entries.offsets[i - 1];
  assign_large(entries.targets, entries.offsets.back(), 0);
  // Filling each row from its end leaves its offset at its beginning.
  for_each_entry([&](uint32_t from, uint32_t to) {
    Offset end = fetch_add<Offset>(entries.offsets[to], static_cast<Offset>(-1), shared);
    entries.targets[end - 1] = from;
  });
  return entries;
}

}  // namespace

template <class Offset>
std::vector<uint32_t> find_vertex_dominators(VertexRows<Offset> rows, const std::vector<uint32_t>& roots,
                                             size_t threads) {
  DepthFirstTree tree = search_depth_first(rows, roots);
  VertexRows<Offset> entries = turn_around(rows, tree, threads);
  rows = VertexRows<Offset>();
  std::vector<uint32_t> dominators = semi_nca(std::move(tree.parent), std::move(entries));
  std::vector<uint32_t> vertex_of;
  assign_large(vertex_of, dominators.size(), 0);
  for (uint32_t vertex = 0; vertex < tree.number.size(); ++vertex) vertex_of[tree.number[vertex]] = vertex;
  for (uint32_t& number : tree.number) {
    uint32_t dominator = dominators[number];
    number = dominator == kNoVertex ? kNoVertex : vertex_of[dominator];
  }
  return std::move(tree.number);
}

template std::vector<uint32_t> find_vertex_dominators(VertexRows<uint32_t>, const std::vector<uint32_t>&, size_t);
template std::vector<uint32_t> find_vertex_dominators(VertexRows<uint64_t>, const std::vector<uint32_t>&, size_t);

}  // namespace heapwalk
