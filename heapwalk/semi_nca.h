// Immediate dominators of a flow graph given as rows of numbers.
//
// Semi-NCA (Georgiadis, "Linear-Time Algorithms for Dominators and Related Problems", Princeton 2005, §2.3):
//   1. number the vertices in depth-first preorder;
//   2. semi(w), backwards over the numbers: the least number from which a path leads to w whose inner vertices all come
//      after w. Predecessors after w are evaluated through a forest with path compression;
//   3. idom(w) = nearest common ancestor of parent(w) and semi(w) in the dominator tree built so far.
//
// Nothing recurses and nothing is stored twice: the search keeps a frame only for vertices with a further unvisited
// child, so a list needs no stack; compression turns the pointers of its path around and back instead of stacking it;
// semi(w) replaces the row offset of w, which has just been used for the last time.
//
// Step 3 walks up the tree, which is quick on real graphs and quadratic on hostile ones. When the walks have taken more
// than a fixed number of steps per vertex, it goes on with jump pointers (Myers, "An applicative random-access stack",
// 1983), which bound a walk by the logarithm of the depth.
#pragma once

#include <cstdint>
#include <vector>

namespace heapwalk {

constexpr uint32_t kNoVertex = UINT32_MAX;

// targets[offsets[v] … offsets[v + 1]): Offset is 32 bits wide unless there are more edges than that.
template <class Offset>
struct VertexRows {
  std::vector<Offset> offsets;
  std::vector<uint32_t> targets;
};

struct DepthFirstTree {
  std::vector<uint32_t> number;  // by vertex: its preorder number
  std::vector<uint32_t> parent;  // by number: the parent's number; kNoVertex for roots
};

// Searches from each root in turn. Vertices that no root reaches keep the number kNoVertex.
template <class Offset>
DepthFirstTree search_depth_first(const VertexRows<Offset>& rows, const std::vector<uint32_t>& roots);

// By number: the immediate dominator's number, kNoVertex for roots. `parent`: DepthFirstTree::parent. `entries`: for
// each number, the numbers of its predecessors; tree edges may be left out.
template <class Offset>
std::vector<uint32_t> semi_nca(std::vector<uint32_t> parent, VertexRows<Offset> entries);

}  // namespace heapwalk
