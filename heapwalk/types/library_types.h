// Types whose layout only their library knows: the debug info has a name for them, and no members, or the members of a
// base of theirs.
//
//     absl's btree_node<map_params<K, V, …>>     an empty class; really
//         parent│position start finish max_count│slots …               leaves: 1, 2, 4 … slots while the tree is one leaf
//         parent│position start finish max_count│slots …│children …    the inner nodes
//     boost's array of ptr_bucket                links to ptr_bucket; really to ptr_node<V>
//     absl's raw_hash_set<Policy, …>             slots are void*; really what the policy says
//         FlatHashSetPolicy<T>: T     FlatHashMapPolicy<K, V>: pair<const K, V>     NodeHash…: pointers to those
//
// What they really are is added to the table, under the names that the library has for them: records that one pointer
// leads to in several sizes are a chain, from each to the next larger one.
//
// Sources: abseil 20220623 to 20260817, container/internal/btree.h (btree_node's comment, NodeTargetSlots) and
// layout.h, flat_hash_map.h, node_hash_map.h; boost 1.74 unordered/detail/implementation.hpp.
#pragma once

#include <unordered_map>

#include "dwarf/type_table.h"

namespace heapwalk {

struct LibraryTypes {
  std::unordered_map<TypeId, TypeId> described;  // a record without members → its smallest form
  std::unordered_map<TypeId, TypeId> larger;     // a form → the next larger one
  std::unordered_map<TypeId, TypeId> buckets;    // a node → what an array of buckets consists of
  std::unordered_map<TypeId, TypeId> elements;   // a container → what it has in its slots
};

// Adds what is missing; types keep their ids.
LibraryTypes add_library_types(TypeTable& types);

}  // namespace heapwalk
