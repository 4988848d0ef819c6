// What Go gives a meaning to beyond its fields: which record is a slice, a map, a channel …, whoever described it.
//
//     record { array *T; len int; cap int }              slice            len elements of T, room for cap
//     record { str *uint8; len int }                     string
//     record runtime.iface, runtime.eface                interface        the first word says the type of the second
//     record map<K,V>, table<K,V>                        Swiss map        one group, or a directory of tables of groups
//     record hash<K,V>, bucket<K,V>                      classic map      2^B buckets, and what overflows
//     record hchan<T>                                    channel          a ring of T
//
// Go's debug info and its run-time types are made into the same records, under the names that the debug info has, so one
// look at names and fields serves both.
// Source: Go 1.19 … 1.27 cmd/link/internal/ld/dwarf.go (synthesizemaptypes, synthesizechantypes); sync/atomic/type.go (Pointer);
// internal/sync/hashtriemap.go (node); sync/pool.go (Pool).
#pragma once

#include <cstdint>

#include "dwarf/type_table.h"

namespace heapwalk::go {

enum class GoForm : uint8_t {
  none,  // its fields are all there is to it
  string,
  slice,
  empty_interface,
  interface,
  swiss_map,
  swiss_table,
  classic_map,
  classic_bucket,
  channel,
  atomic_pointer,  // an untyped pointer beside [0]*T
  trie_node,       // of sync.Map: an inner node or an entry, as it says itself
  pool,            // sync.Pool: untyped arrays
  reflect_value,   // a type, a pointer or a value, and flags that say which
};

struct FormFacts {
  GoForm form = GoForm::none;
  TypeId element = kNoType;   // slice, channel, atomic pointer: T; maps and their parts: a group, a bucket
  uint64_t offset_bytes = 0;  // atomic pointer: of the word
};

FormFacts form_of(const TypeTable& types, TypeId id);

// The field of that name, or null.
const heapwalk::Field* find_field(const TypeTable& types, TypeId record, std::string_view name);
// What a pointer type leads to; kNoType of others.
TypeId pointee(const TypeTable& types, TypeId id);

}  // namespace heapwalk::go
