// Go's run-time types in the table of all types, under the names and shapes that Go's own debug info gives them: what both
// describe is one type, and programs without debug info have types all the same.
//
//     abi.Type                     in the table
//     struct                       record with its fields
//     *T, unsafe.Pointer           pointer to T; to nothing
//     [N]T                         array
//     []T, string                  record { array, len, cap }; { str, len }
//     interface                    record runtime.eface or runtime.iface
//     map[K]V                      pointer to map<K,V> (Swiss) or hash<K,V> (classic), made from the group's or bucket's type
//     chan T                       pointer to hchan<T>
//     func                         pointer to function: a closure begins with its code's address
//
// A named type that is no struct is what it is made of, but for slices, strings and numbers, whose name is their own.
// Source: Go 1.19 … 1.27 internal/abi/type.go, runtime/map.go (hmap), internal/runtime/maps, runtime/chan.go (hchan).
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "dump/base/diagnostics.h"
#include "dwarf/type_table.h"
#include "heapwalk/runtimes/go/program/process.h"
#include "heapwalk/runtimes/go/stacks/go_records.h"
#include "heapwalk/runtimes/go/types/type_forms.h"
#include "heapwalk/runtimes/go/types/type_graph.h"

namespace heapwalk::go {

class GoTypes {
 public:
  // All outlive this.
  GoTypes(const AddressSpace& memory, const Process& process, TypeTableBuilder& builder)
      : memory_(&memory),
        process_(&process),
        builder_(&builder),
        records_(process.layout, builder),
        graph_(memory, process) {}

  // All types that the program lists, with what they lead to.
  void add_listed(Diagnostics& diagnostics);
  // The type whose descriptor is there, with what it leads to; kNoType where there is none.
  TypeId add(Address type);
  // If it was added.
  TypeId find(Address type) const {
    const uint32_t node = graph_.find(type);
    return node < ids_.size() ? ids_[node] : kNoType;
  }
  // A descriptor of it; null of types that only the debug info knows, and of those that were made up for a part of another.
  Address descriptor_of(TypeId id) const {
    auto at = descriptors_.find(id);
    return at == descriptors_.end() ? Address{} : at->second;
  }
  // Null where it was not added.
  const TypeNode* node_of(Address type) const {
    const uint32_t node = graph_.find(type);
    return node == kNoNode ? nullptr : &graph_[node];
  }
  // Of the record that a map leads to. kNoType of others.
  struct MapTypes {
    TypeId key = kNoType, element = kNoType, group = kNoType;
  };
  MapTypes map_types(TypeId record) const {
    auto at = maps_.find(record);
    return at == maps_.end() ? MapTypes{} : at->second;
  }

  // Descriptors of unnamed structs that begin with the address of code: what closures are. Sorted.
  std::vector<Address> closure_structs() const;
  std::vector<Address> addresses() const;  // of all descriptors that were added
  const std::vector<Address>& itabs() const { return itabs_; }

  const TypeTable& table() const { return builder_->table(); }
  TypeTableBuilder& builder() { return *builder_; }
  // What did not hold together.
  void report(Diagnostics& diagnostics) const;

 private:
  void settle(uint32_t first);
  std::string name_of(uint32_t node) const;
  std::string part_name(uint32_t node) const { return node == kNoNode ? "?" : graph_[node].name; }
  TypeId id_of(uint32_t node) const { return node < ids_.size() ? ids_[node] : kNoType; }
  TypeId simple(uint32_t node);
  TypeId open_struct(uint32_t node);
  TypeId open(uint32_t node, const std::string& name, uint64_t size_bytes);
  bool is_same_struct(TypeId id, const TypeNode& node) const;
  TypeId map(uint32_t node);
  void resolve_chain(uint32_t node);
  void fill(uint32_t node);
  void fill_struct(TypeId id, const TypeNode& node);

  const AddressSpace* memory_;
  const Process* process_;
  TypeTableBuilder* builder_;
  GoRecords records_;
  TypeGraph graph_;
  std::vector<Address> itabs_;
  std::vector<TypeId> ids_;                          // by node
  std::unordered_map<uint32_t, uint32_t> group_of_;  // groups' and buckets' nodes: the map
  std::unordered_map<uint32_t, TypeId> unfilled_;    // nodes whose records this opened
  std::unordered_map<TypeId, uint32_t> owners_;      // of records of structs: the first node that is it
  std::unordered_map<TypeId, Address> descriptors_;  // the first one
  std::unordered_map<TypeId, MapTypes> maps_;
  uint64_t damage_ = 0;
};

}  // namespace heapwalk::go
