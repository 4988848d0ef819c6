#include "heapwalk/runtimes/go/stacks/go_records.h"

#include <fmt/format.h>

#include <utility>

namespace heapwalk::go {

using Fields = std::vector<heapwalk::Field>;

TypeId GoRecords::integer(std::string_view name, uint64_t size_bytes) {
  return builder_->base(name, size_bytes,
                        name.starts_with("int") ? BaseEncoding::signed_integer : BaseEncoding::unsigned_integer);
}

TypeId GoRecords::byte_pointer() {
  return builder_->pointer_to(integer("uint8", 1));
}

TypeId GoRecords::made(const std::string& name, uint64_t size_bytes, Fields fields) {
  const auto opened = builder_->open(TypeKind::record, name, size_bytes);
  if (opened.is_new) builder_->fill(opened.id, std::move(fields), {});
  return opened.id;
}

void GoRecords::add(Fields& fields, std::string_view name, go::Field at, TypeId type) const {
  if (layout_->has(at)) fields.push_back({.name = name, .type = type, .offset_bytes = layout_->offset(at)});
}

void GoRecords::add_number(Fields& fields, std::string_view name, go::Field at) {
  const uint32_t width = layout_->width(at);
  add(fields, name, at, integer(fmt::format("uint{}", width * 8), width));
}

Fields GoRecords::slice_fields(TypeId element) {
  const TypeId length = integer("int", 8);
  return {{.name = "array", .type = builder_->pointer_to(element), .offset_bytes = 0},
          {.name = "len", .type = length, .offset_bytes = 8},
          {.name = "cap", .type = length, .offset_bytes = 16}};
}

Fields GoRecords::string_fields() {
  return {{.name = "str", .type = byte_pointer(), .offset_bytes = 0},
          {.name = "len", .type = integer("int", 8), .offset_bytes = 8}};
}

TypeId GoRecords::interface(bool is_empty) {
  const TypeId pointer = builder_->pointer_to(kNoType);
  return made(is_empty ? "runtime.eface" : "runtime.iface", 16,
              {{.name = is_empty ? "_type" : "tab", .type = pointer, .offset_bytes = 0},
               {.name = "data", .type = pointer, .offset_bytes = 8}});
}

TypeId GoRecords::swiss_map(const std::string& arguments, TypeId group) {
  Fields reference;
  add(reference, "data", Field::groupsReference_data, builder_->pointer_to(group));
  add_number(reference, "lengthMask", Field::groupsReference_lengthMask);
  const TypeId groups = made(fmt::format("groupReference<{}>", arguments), layout_->offset(Field::groupsReference_size),
                             std::move(reference));
  Fields table;
  add_number(table, "used", Field::table_used);
  add_number(table, "capacity", Field::table_capacity);
  add_number(table, "growthLeft", Field::table_growthLeft);
  add_number(table, "localDepth", Field::table_localDepth);
  add(table, "index", Field::table_index, integer("int", 8));
  add(table, "groups", Field::table_groups, groups);
  const TypeId table_id =
      made(fmt::format("table<{}>", arguments), layout_->offset(Field::table_size), std::move(table));
  Fields map;
  add_number(map, "used", Field::Map_used);
  add(map, "seed", Field::Map_seed, integer("uintptr", 8));
  add(map, "dirPtr", Field::Map_dirPtr, builder_->pointer_to(builder_->pointer_to(table_id)));
  add(map, "dirLen", Field::Map_dirLen, integer("int", 8));
  add_number(map, "globalDepth", Field::Map_globalDepth);
  add_number(map, "globalShift", Field::Map_globalShift);
  add_number(map, "writing", Field::Map_writing);
  add_number(map, "clearSeq", Field::Map_clearSeq);
  return made(fmt::format("map<{}>", arguments), layout_->offset(Field::Map_size), std::move(map));
}

TypeId GoRecords::classic_map(const std::string& arguments, TypeId bucket) {
  const TypeId buckets = builder_->pointer_to(bucket);
  const TypeId list = made(fmt::format("[]*bucket<{}>", arguments), 24, slice_fields(buckets));
  Fields extra;
  add(extra, "overflow", Field::mapextra_overflow, builder_->pointer_to(list));
  add(extra, "oldoverflow", Field::mapextra_oldoverflow, builder_->pointer_to(list));
  add(extra, "nextOverflow", Field::mapextra_nextOverflow, buckets);
  const TypeId extra_id =
      made(fmt::format("mapextra<{}>", arguments), layout_->offset(Field::mapextra_size), std::move(extra));
  Fields map;
  add(map, "count", Field::hmap_count, integer("int", 8));
  add_number(map, "flags", Field::hmap_flags);
  add_number(map, "B", Field::hmap_B);
  add_number(map, "noverflow", Field::hmap_noverflow);
  add_number(map, "hash0", Field::hmap_hash0);
  add(map, "buckets", Field::hmap_buckets, buckets);
  add(map, "oldbuckets", Field::hmap_oldbuckets, buckets);
  add(map, "nevacuate", Field::hmap_nevacuate, integer("uintptr", 8));
  add(map, "extra", Field::hmap_extra, builder_->pointer_to(extra_id));
  return made(fmt::format("hash<{}>", arguments), layout_->offset(Field::hmap_size), std::move(map));
}

Fields GoRecords::channel_fields(TypeId element) {
  Fields channel;
  add_number(channel, "qcount", Field::hchan_qcount);
  add_number(channel, "dataqsiz", Field::hchan_dataqsiz);
  add(channel, "buf", Field::hchan_buf, builder_->pointer_to(element));
  add_number(channel, "elemsize", Field::hchan_elemsize);
  add_number(channel, "closed", Field::hchan_closed);
  add(channel, "timer", Field::hchan_timer, builder_->pointer_to(kNoType));
  add(channel, "elemtype", Field::hchan_elemtype, builder_->pointer_to(kNoType));
  add_number(channel, "sendx", Field::hchan_sendx);
  add_number(channel, "recvx", Field::hchan_recvx);
  // The queues of goroutines that wait: two pointers each.
  const TypeId waiter = builder_->pointer_to(kNoType);
  const TypeId queue = made("waitq", 16,
                            {{.name = "first", .type = waiter, .offset_bytes = layout_->offset(Field::waitq_first)},
                             {.name = "last", .type = waiter, .offset_bytes = layout_->offset(Field::waitq_last)}});
  add(channel, "recvq", Field::hchan_recvq, queue);
  add(channel, "sendq", Field::hchan_sendq, queue);
  return channel;
}

}  // namespace heapwalk::go
