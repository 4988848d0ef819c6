// Numbers for things, each with a type of its own so that they cannot be mixed up.
//
// ObjectId numbers allocations in address order. NodeId numbers the vertices of the retention graph: the process, the
// structure (owners, roots) and then the objects. Both are 32 bits wide, which is half of what the graph costs.
#pragma once

#include <cstdint>

namespace heapwalk {

enum class ObjectId : uint32_t {};
enum class NodeId : uint32_t {};

constexpr uint32_t index(ObjectId id) {
  return static_cast<uint32_t>(id);
}
constexpr uint32_t index(NodeId id) {
  return static_cast<uint32_t>(id);
}

constexpr NodeId kProcessNode{0};      // root of everything reachable
constexpr NodeId kUnreachableNode{1};  // root of everything that no root reaches: its children are the leak roots
constexpr NodeId kNoNode{UINT32_MAX};

}  // namespace heapwalk
