// Where a type has containers inside, and where the words are that say how full they are.
//
//     struct Session { …; std::vector<Event> events; std::map<int, Item> items; }
//         +32  std::vector<Event>     first +32, end +40, limit +48       elements: Event
//         +56  std::map<int, Item>    size +96, nodes from +72            elements: _Rb_tree_node<…>
//
// Offsets are from the start of the value that the layout is of. The census (container_census.h) reads them.
#pragma once

#include <cstdint>

#include "dump/address_space.h"
#include "heapwalk/types/containers.h"

namespace heapwalk {

struct ContainerPlace {
  static constexpr uint32_t kNone = UINT32_MAX;
  const ContainerRule* rule = nullptr;
  TypeId shown = kNoType;       // as the program calls it: std::vector, not its base
  TypeId element = kNoType;     // what `first` leads to, or the node
  TypeId linked = kNoType;      // what `node` leads to: a node, or an array of buckets
  uint16_t guard = UINT16_MAX;  // the container is there only if this one of the layout's guards says so
  uint32_t offset_bytes = 0;    // of the container
  uint32_t first = kNone, end = kNone, limit = kNone;
  uint32_t length = kNone, room = kNone, is_long = kNone;
  uint32_t count = kNone, capacity = kNone, mask = kNone, size = kNone;
  uint32_t buckets = kNone, bucket_count = kNone;
  uint32_t control = kNone;
  uint64_t inside_elements = 0;  // that there is room for in the container itself
  uint32_t node = kNone;         // a pointer to a node, if there are any

  bool says_size() const;  // how many elements there are, or there is room for
  // Whether its elements are in the container itself, whose value that is.
  bool is_inside(Bytes value) const;
};

// Where a container has room for elements of its own: `inside` of its rule.
struct InsideRoom {
  uint64_t offset_bytes = 0;  // from the container's start
  uint64_t elements = 0;
};
InsideRoom find_inside(const TypeTable& types, const ContainerRule& rule, TypeId record, TypeId element);

// The member is all that the library's record is: a map's _Rb_tree, a String's Vec. Not what is in a pair or an array.
bool is_container_shell(const TypeTable& types, TypeId record, const Field& member);

// All but the pointers' targets, which the layout knows.
ContainerPlace place_container(const TypeTable& types, const ContainerRule& rule, TypeId record, uint32_t offset_bytes);

}  // namespace heapwalk
