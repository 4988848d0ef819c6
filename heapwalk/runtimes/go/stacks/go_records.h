// The records of the run-time that every program has, and those that it has once per map or channel type: no descriptor says what
// is in them, the layout does.
//
//     map<K,V>   { used, seed, dirPtr **table<K,V>, dirLen, … }        Swiss, since Go 1.24
//     table<K,V> { used, capacity, …, groups { data *group, lengthMask } }
//     hash<K,V>  { count, flags, B, …, buckets *bucket<K,V>, oldbuckets, …, extra }    classic
//     hchan<T>   { qcount, dataqsiz, buf *T, … }
//
// Names and fields are those that Go's linker makes up for the debug info; what that already described is taken as it is.
// Source: Go 1.27 cmd/link/internal/ld/dwarf_map.go, internal/runtime/maps (Map, table); Go 1.23 runtime/map.go (hmap);
// runtime/chan.go (hchan).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dwarf/type_table.h"
#include "heapwalk/runtimes/go/program/layout.h"

namespace heapwalk::go {

class GoRecords {
 public:
  // Both outlive this.
  GoRecords(const Layout& layout, TypeTableBuilder& builder) : layout_(&layout), builder_(&builder) {}

  TypeId integer(std::string_view name, uint64_t size_bytes);  // "uint16", "int"
  TypeId byte_pointer();
  TypeId interface(bool is_empty);
  // `arguments`: "string,*main.Session". A map is a pointer to such a record, and so is a channel.
  TypeId swiss_map(const std::string& arguments, TypeId group);
  TypeId classic_map(const std::string& arguments, TypeId bucket);
  uint64_t channel_bytes() const { return layout_->offset(Field::hchan_size); }
  std::vector<heapwalk::Field> channel_fields(TypeId element);
  std::vector<heapwalk::Field> slice_fields(TypeId element);
  std::vector<heapwalk::Field> string_fields();

 private:
  TypeId made(const std::string& name, uint64_t size_bytes, std::vector<heapwalk::Field> fields);
  void add(std::vector<heapwalk::Field>& fields, std::string_view name, go::Field at, TypeId type) const;
  void add_number(std::vector<heapwalk::Field>& fields, std::string_view name, go::Field at);

  const Layout* layout_;
  TypeTableBuilder* builder_;
};

}  // namespace heapwalk::go
