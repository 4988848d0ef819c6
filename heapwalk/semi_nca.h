// Immediate dominators of a flow graph that has been searched depth first.
//
// Semi-NCA (Georgiadis, "Linear-Time Algorithms for Dominators and Related Problems", Princeton 2005, §2.3):
//   1. number the vertices in depth-first preorder (the caller has done this);
//   2. semi(w), backwards over the numbers: the least number from which a path leads to w whose inner vertices all come
//      after w. Predecessors after w are evaluated through a forest with path compression;
//   3. idom(w) = nearest common ancestor of parent(w) and semi(w) in the dominator tree built so far.
//
// Nothing recurses and nothing is stored twice: compression turns the pointers of its path around and back instead of
// stacking it; semi(w) replaces the row offset of w, which has just been used for the last time; the tree becomes the
// forest, and waits meanwhile as two bits per vertex.
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

// sources[offsets[v] … offsets[v + 1]): Offset is 32 bits wide unless there are more edges than that.
template <class Offset>
struct VertexRows {
  std::vector<Offset> offsets;
  std::vector<uint32_t> sources;
};

// By depth-first number: the immediate dominator's number, kNoVertex for roots, of which there may be several if no path
// leads from the part of one to the part of another. `parent`: the depth-first tree, kNoVertex for roots. `entries`:
// the other predecessors. Both are used up.
template <class Offset>
std::vector<uint32_t> find_vertex_dominators(std::vector<uint32_t> parent, VertexRows<Offset> entries);

}  // namespace heapwalk
