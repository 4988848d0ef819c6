// What the debug info of a container does not say: which node a base pointer really leads to, and whose bytes raw
// storage holds.
//
//     std::map<K, V> ─► _Rb_tree<K, pair<K, V>, …>   _M_parent: _Rb_tree_node_base*   really _Rb_tree_node<pair<K, V>>*
//                       _Rb_tree_node<pair<K, V>>    _M_storage: unsigned char[48]    really pair<K, V>
//
// A container is a row of data (container_rules.h). Where a row names a template that the debug info does not have,
// nothing is refined and the plain types stand.
//
//     alloc::vec::Vec<T, A> { buf: RawVec { … ptr: *u8, cap }, len }             really *T, of which len are in use
//     hashbrown::raw::RawTable<T, A> { ctrl: *u8, bucket_mask, … }                T T T T│ctrl bytes: the buckets end at ctrl
//     Box<dyn Shape> { pointer: *dyn Shape, vtable }                              what the vtable says
//     NodeRef<…> { node: *LeafNode<K, V>, height }                                or *InternalNode<K, V>, 12 edges larger
//     absl's raw_hash_set { ctrl: *ctrl_t, slots: *void, capacity }               ctrl bytes│T T T T: one block
//
// Types that only their library knows how to lay out are added to the table beforehand (library_types.h).
// Where the facts come from: container_rules.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dwarf/type_table.h"
#include "heapwalk/types/container_rules.h"
#include "heapwalk/types/library_types.h"

namespace heapwalk {

// The rules as they apply to one table. Borrows it; types added later are not seen.
class Containers {
 public:
  explicit Containers(const TypeTable& types, LibraryTypes library = {});

  // The rule of a record, or null.
  const ContainerRule* rule_of(TypeId record) const {
    const uint16_t rule = index(record) < rule_of_.size() ? rule_of_[index(record)] : kNoRule;
    return rule == kNoRule ? nullptr : &container_rules()[rule];
  }
  // What a pointer to `target` inside the container `record` really leads to; `target` itself when no rule says so.
  TypeId refine(const ContainerRule& rule, TypeId record, TypeId target) const;
  // The elements of a container whose row says by which argument; else kNoType.
  TypeId element(const ContainerRule& rule, TypeId record) const;
  // The instance of the node's template for this container; kNoType when the debug info has none.
  TypeId node(const ContainerRule& rule, TypeId record) const;
  // What its array of buckets consists of; kNoType when the debug info says it right.
  TypeId bucket(const ContainerRule& rule, TypeId record) const;
  // What all pointers to such a record lead to: it is laid out otherwise than the debug info says. Mostly itself.
  TypeId described(TypeId target) const;
  // What a pointer to `target` leads to instead when the allocation is that large; kNoType: nothing further.
  TypeId larger(TypeId target) const;
  // The one that all of them are larger forms of.
  TypeId smallest(TypeId node) const;
  // The type of a value in a member's raw storage, kNoType when the rule does not speak of this member.
  TypeId storage(const ContainerRule& rule, TypeId record, std::string_view member) const;
  // The value in a node that covers the offset, and where it begins; nothing for the links around it.
  struct Stored {
    TypeId type;
    uint64_t offset_bytes;
  };
  std::optional<Stored> stored_at(const ContainerRule& rule, TypeId record, uint64_t offset_bytes) const;
  // Bases of nodes say nothing about what they begin: `_Rb_tree_node_base` is never the whole of an allocation.
  bool is_node_base(TypeId record) const {
    return index(record) < is_node_base_.size() && is_node_base_[index(record)];
  }

 private:
  static constexpr uint16_t kNoRule = UINT16_MAX;
  void add_rules(const TypeTable& types);
  uint16_t find_rule(std::string_view name, TypeId record) const;

  const TypeTable* types_;
  LibraryTypes library_;
  std::unordered_map<std::string_view, std::vector<uint16_t>> by_template_;  // in the rules' order
  std::vector<uint16_t> rule_of_;                                            // by type
  std::unordered_map<uint64_t, std::vector<TypeId>> nodes_;  // by rule and first argument: the template's instances
  std::unordered_map<TypeId, TypeId> smaller_;
  std::vector<bool> is_node_base_;  // by type
};

}  // namespace heapwalk
