// What the debug info of a container does not say: which node a base pointer really leads to, and whose bytes raw
// storage holds.
//
//     std::map<K, V> ─► _Rb_tree<K, pair<K, V>, …>   _M_parent: _Rb_tree_node_base*   really _Rb_tree_node<pair<K, V>>*
//                       _Rb_tree_node<pair<K, V>>    _M_storage: unsigned char[48]    really pair<K, V>
//
// A container is a row of data: the name of its template, and which of its template arguments fills which hole. Members
// are looked for by name, never by a library's version: "a|b" is what two versions call it, "a.b" a member of a member
// (member_path.h). libc++'s rows say std::__1 for all its inline namespaces. Where a rule names a template that the debug info does not have,
// nothing is refined and the plain types stand.
//
//     alloc::vec::Vec<T, A> { buf: RawVec { … ptr: *u8, cap }, len }             really *T, of which len are in use
//     hashbrown::raw::RawTable<T, A> { ctrl: *u8, bucket_mask, … }                T T T T│ctrl bytes: the buckets end at ctrl
//     Box<dyn Shape> { pointer: *dyn Shape, vtable }                              what the vtable says
//     NodeRef<…> { node: *LeafNode<K, V>, height }                                or *InternalNode<K, V>, 12 edges larger
// Where the facts come from: container_rules.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "dwarf/type_table.h"

namespace heapwalk {

struct ContainerRule {
  static constexpr int kNone = -1;
  static constexpr int kSelf = -2;

  std::string_view record;           // the template's name, up to the "<"
  std::string_view base = {};        // pointers to this record …
  std::string_view node = {};        // … lead to this template of …
  int node_argument = kNone;         // … this argument; kSelf: to the record itself
  std::string_view storage = {};     // this member's bytes …
  int storage_argument = kNone;      // … hold a value of this argument
  std::string_view first = {};       // this member points to the elements in use …
  std::string_view end = {};         // … that end where this one points to …
  std::string_view limit = {};       // … in room that ends where this one points to
  std::string_view length = {};      // instead of the end: their number, a NUL following
  std::string_view is_long = {};     // a byte of which one bit says that `first` is there: the lowest if the byte comes
                                     // first in the record, else the highest
  std::string_view engaged = {};     // this member is not zero when the bytes beside it hold a value …
  std::string_view value = {};       // … which is this member …
  std::string_view choice = {};      // … or numbers the alternative that they hold, in a union of the first …
  std::string_view rest = {};        // … and this, the union of the others
  int element_argument = kNone;      // pointers inside, whatever their type, lead to values of this argument
  std::string_view begin = {};       // the first element in use is not `first`, but where this one points to …
  std::string_view head = {};        // … or of that number, and behind the last one follows the first
  std::string_view last = {};        // the same again in the last of several blocks, which begins there …
  std::string_view last_limit = {};  // … and ends there
  std::string_view count = {};       // the number of elements in use …
  std::string_view capacity = {};    // … and how many there is room for
  std::string_view mask = {};        // one less than the number of buckets, which end where `first` points to
  std::string_view object = {};      // this member points to a value of a type …
  std::string_view vtable = {};      // … that the one beside it knows: a vtable, or a function that manages the value
  std::string_view small = {};       // pointers to this template may lead …
  std::string_view large = {};       // … to this one, which begins with it; the allocation's size tells
  std::string_view size = {};        // the number of elements that it says it has: nodes, full buckets
  std::string_view room = {};        // of a string: how many characters there is room for, beside `is_long`
  std::string_view buckets = {};     // this member points to an array of pointers …
  std::string_view bucket_count = {};  // … of that many
  std::string_view filled = {};        // of the arrays inside, this many elements are in use …
  uint8_t filled_more = 0;             // … or this many more
};

std::span<const ContainerRule> container_rules();  // container_rules.cc

// The rules as they apply to one table. Borrows it; types added later are not seen.
class Containers {
 public:
  explicit Containers(const TypeTable& types);

  // The rule of a record, or null.
  const ContainerRule* rule_of(TypeId record) const;
  // What a pointer to `target` inside the container `record` really leads to; `target` itself when no rule says so.
  TypeId refine(const ContainerRule& rule, TypeId record, TypeId target) const;
  // What a pointer to `target` leads to when the allocation is as large as that; kNoType: there is no such type.
  TypeId large_of(const ContainerRule& rule, TypeId target) const;
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
  const TypeTable* types_;
  std::unordered_map<std::string_view, const ContainerRule*> by_template_;
  std::unordered_map<uint64_t, std::vector<TypeId>> nodes_;  // by rule and first argument: the template's instances
  std::vector<bool> is_node_base_;                           // by type
};

// "std::vector" of "std::vector<int>"; the whole name when it is no instance of a template.
std::string_view template_name(std::string_view name);

}  // namespace heapwalk
