// Puts names to a path of nodes: types, the field each step runs through, runs folded.
#pragma once

#include <vector>

#include "heapwalk/analysis.h"

namespace heapwalk {

// `path` begins at a root's node or at a leak root, as path_finder gives it. A step's field is where the word that
// refers to it lies in the node before: the field's name ("history[…].next") where the type is known, else "+0x18" from the
// start of the variable or object, "sp+0x28" in a stack frame.
// Consecutive steps of the same type and field are one step with a repeat count.
RootPath describe_path(const Analysis& analysis, const std::vector<NodeId>& path);

// The name of a node for people: an owner's or root's name, or an object's type.
std::string node_name(const Analysis& analysis, NodeId node);

}  // namespace heapwalk
