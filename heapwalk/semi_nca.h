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

#include <cstddef>
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

// By vertex: its immediate dominator, kNoVertex for the roots. Every vertex is reachable from one of the roots, which
// are searched from in turn; no path leads from the part of one to the part of another. `rows` is used up. The threads
// serve to turn the rows around; the result does not depend on them.
template <class Offset>
std::vector<uint32_t> find_vertex_dominators(VertexRows<Offset> rows, const std::vector<uint32_t>& roots,
                                             size_t threads);

}  // namespace heapwalk
