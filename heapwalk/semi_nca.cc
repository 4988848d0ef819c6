// Vertices are named by their depth-first numbers throughout.
#include "heapwalk/semi_nca.h"

#include <algorithm>

#include "heapwalk/large_pages.h"

namespace heapwalk {
namespace {

// A depth-first tree in two bits per vertex: for each, in order, a 0 per step up from the vertex before it, then a 1.
class TreeShape {
 public:
  explicit TreeShape(const std::vector<uint32_t>& parent) : vertices_(parent.size()) {
    bits_.reserve(2 * parent.size());
    for (uint32_t vertex = 0; vertex < parent.size(); ++vertex) {
      for (uint32_t at = vertex == 0 ? kNoVertex : vertex - 1; at != parent[vertex]; at = parent[at]) {
        bits_.push_back(false);
      }
      bits_.push_back(true);
    }
  }

  void restore(std::vector<uint32_t>& parent) const {
    size_t bit = 0;
    for (uint32_t vertex = 0; vertex < vertices_; ++vertex) {
      uint32_t at = vertex == 0 ? kNoVertex : vertex - 1;
      for (; !bits_[bit]; ++bit) at = parent[at];
      ++bit;
      parent[vertex] = at;
    }
  }

 private:
  size_t vertices_;
  std::vector<bool> bits_;
};

// The forest of vertices after the current one. label: the least semi on the compressed path to the forest's edge.
// Labels are stored from the last vertex down, in the order in which vertices join, so that they take memory as they do.
class Forest {
 public:
  // `parent` is turned into the forest's pointers.
  explicit Forest(std::vector<uint32_t>& parent) : ancestor_(parent), last_(static_cast<uint32_t>(parent.size()) - 1) {
    reserve_large(label_, parent.size());
  }

  void join(uint32_t semi) { label_.push_back(semi); }  // the next vertex, downwards

  // The least label among `vertex` and its ancestors after `current`.
  uint32_t evaluate(uint32_t vertex, uint32_t current) {
    uint32_t below = kNoVertex;
    while (is_linked(ancestor_[vertex], current)) {  // up, turning the path around
      uint32_t above = ancestor_[vertex];
      ancestor_[vertex] = below;
      below = vertex;
      vertex = above;
    }
    uint32_t least = label(vertex);
    uint32_t top = ancestor_[vertex];
    while (below != kNoVertex) {  // down again
      uint32_t next = ancestor_[below];
      least = label(below) = std::min(least, label(below));
      ancestor_[below] = top;
      below = next;
    }
    return least;
  }
  void prefetch(uint32_t vertex) const {
    __builtin_prefetch(&ancestor_[vertex]);
    __builtin_prefetch(label_.data() + (last_ - vertex));
  }

 private:
  uint32_t& label(uint32_t vertex) { return label_[last_ - vertex]; }
  static bool is_linked(uint32_t ancestor, uint32_t current) { return ancestor > current && ancestor != kNoVertex; }

  std::vector<uint32_t>& ancestor_;
  uint32_t last_;
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

// Replaces entries.offsets[w] by semi(w). `parent` becomes the forest; a vertex joins it after its own turn. Sources that
// have been read make room for the labels.
template <class Offset>
void find_semidominators(std::vector<uint32_t>& parent, VertexRows<Offset>& entries) {
  constexpr Offset kAhead = 12;
  constexpr Offset kReleased = 1 << 20;
  Forest forest(parent);
  Offset end = entries.offsets.back();
  for (auto vertex = static_cast<uint32_t>(parent.size()); vertex-- > 0;) {
    Offset begin = entries.offsets[vertex];
    uint32_t semi = parent[vertex];
    if (semi != kNoVertex) {
      for (Offset e = end; e-- > begin;) {
        if (e >= kAhead) forest.prefetch(entries.sources[e - kAhead]);
        uint32_t from = entries.sources[e];
        semi = std::min(semi, from < vertex ? from : forest.evaluate(from, vertex));
      }
    }
    forest.join(semi);
    entries.offsets[vertex] = semi;
    end = begin;
    if (entries.sources.size() - end >= kReleased) release_tail(entries.sources, end);
  }
}

}  // namespace

template <class Offset>
std::vector<uint32_t> find_vertex_dominators(std::vector<uint32_t> parent, VertexRows<Offset> entries) {
  TreeShape shape(parent);
  find_semidominators(parent, entries);
  std::vector<uint32_t>().swap(entries.sources);
  shape.restore(parent);
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

template std::vector<uint32_t> find_vertex_dominators(std::vector<uint32_t>, VertexRows<uint32_t>);
template std::vector<uint32_t> find_vertex_dominators(std::vector<uint32_t>, VertexRows<uint64_t>);

}  // namespace heapwalk
