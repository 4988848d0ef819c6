#include "heapwalk/runtimes/go/types/type_forms.h"

#include <optional>
#include <string>

namespace heapwalk::go {
namespace {

TypeId type_of_field(const TypeTable& types, TypeId record, std::string_view name) {
  const heapwalk::Field* field = find_field(types, record, name);
  return field == nullptr ? kNoType : field->type;
}

bool is_byte_pointer(const TypeTable& types, TypeId id) {
  const TypeId target = pointee(types, id);
  return target != kNoType && types[target].kind == TypeKind::base && types[target].size_bytes == 1;
}

// table<K,V> { …, groups groupReference<K,V> { data *group, … } }
TypeId group_of(const TypeTable& types, TypeId table) {
  return pointee(types, type_of_field(types, type_of_field(types, table, "groups"), "data"));
}

// hchan<T> { …, recvq waitq<T> { first *sudog<T> { …, elem *T } } }
TypeId element_of_channel(const TypeTable& types, TypeId channel) {
  if (const TypeId buffer = pointee(types, type_of_field(types, channel, "buf")); buffer != kNoType) return buffer;
  const TypeId waiter = pointee(types, type_of_field(types, type_of_field(types, channel, "recvq"), "first"));
  return pointee(types, type_of_field(types, waiter, "elem"));
}

FormFacts atomic_pointer(const TypeTable& types, TypeId id) {
  FormFacts facts;
  bool has_word = false;
  for (const heapwalk::Field& field : types.fields(id)) {
    if (field.type == kNoType) continue;
    const Type& type = types[field.type];
    if (type.kind == TypeKind::array && type.count == 0) facts.element = pointee(types, type.target);
    if (type.kind == TypeKind::pointer && type.target == kNoType) {
      facts.offset_bytes = field.offset_bytes;
      has_word = true;
    }
  }
  if (has_word && facts.element != kNoType) facts.form = GoForm::atomic_pointer;
  return facts;
}

// Of sync.Map before Go 1.20: an untyped pointer to an interface.
FormFacts map_entry(const TypeTable& types, TypeId id) {
  const heapwalk::Field* field = find_field(types, id, "p");
  const auto interface = types.find("runtime.eface");
  if (field == nullptr || field->type == kNoType || types[field->type].kind != TypeKind::pointer || !interface)
    return {};
  return {GoForm::atomic_pointer, *interface};
}

// The run-time's own has no such field: its name alone says T.
FormFacts runtime_atomic_pointer(const TypeTable& types, std::string_view name) {
  const size_t open = name.find('[');
  const auto element = types.find(name.substr(open + 1, name.size() - open - 2));
  return element ? FormFacts{GoForm::atomic_pointer, *element} : FormFacts{};
}

FormFacts form_by_name(const TypeTable& types, TypeId id) {
  const std::string_view name = types[id].name;
  const auto has = [&](std::string_view field) { return find_field(types, id, field) != nullptr; };
  if (name == "runtime.eface" && has("data")) return {GoForm::empty_interface};
  if (name == "sync.eface" && types[id].size_bytes == 16) return {GoForm::empty_interface};  // of a pool's ring
  if (name == "sync.entry" && types[id].size_bytes == 8) return map_entry(types, id);
  if (name == "runtime.iface" && has("data")) return {GoForm::interface};
  if (name.starts_with("map<") && has("dirPtr") && has("dirLen")) {
    return {GoForm::swiss_map, group_of(types, pointee(types, pointee(types, type_of_field(types, id, "dirPtr"))))};
  }
  if (name.starts_with("table<") && has("groups")) return {GoForm::swiss_table, group_of(types, id)};
  if (name.starts_with("hash<") && has("B") && has("buckets")) {
    return {GoForm::classic_map, pointee(types, type_of_field(types, id, "buckets"))};
  }
  if (name.starts_with("bucket<") && has("overflow")) return {GoForm::classic_bucket, id};
  if (name.starts_with("hchan<") && has("dataqsiz") && has("buf")) {
    return {GoForm::channel, element_of_channel(types, id)};
  }
  if (name.starts_with("sync/atomic.Pointer[")) return atomic_pointer(types, id);
  if (name.ends_with(']') &&
      (name.starts_with("internal/runtime/atomic.Pointer[") || name.starts_with("runtime/internal/atomic.Pointer["))) {
    return runtime_atomic_pointer(types, name);
  }
  // internal/concurrent (1.23), internal/sync (1.24 on), unique (1.25 on).
  if (types[id].size_bytes == 1 && name.find(".node[") != std::string_view::npos && has("isEntry")) {
    return {GoForm::trie_node};
  }
  if (name == "sync.Pool" && has("local") && has("localSize")) return {GoForm::pool};
  if (name == "reflect.Value" && types[id].size_bytes == 24) return {GoForm::reflect_value};
  return {};
}

}  // namespace

const heapwalk::Field* find_field(const TypeTable& types, TypeId record, std::string_view name) {
  if (record == kNoType || types[record].kind != TypeKind::record) return nullptr;
  for (const heapwalk::Field& field : types.fields(record)) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

TypeId pointee(const TypeTable& types, TypeId id) {
  return id == kNoType || types[id].kind != TypeKind::pointer ? kNoType : types[id].target;
}

FormFacts form_of(const TypeTable& types, TypeId id) {
  if (id == kNoType || types[id].kind != TypeKind::record) return {};
  const auto fields = types.fields(id);
  if (types[id].size_bytes == 24 && fields.size() == 3 && fields[0].name == "array" && fields[1].name == "len" &&
      fields[2].name == "cap" && fields[0].type != kNoType && types[fields[0].type].kind == TypeKind::pointer) {
    return {GoForm::slice, types[fields[0].type].target};
  }
  if (types[id].size_bytes == 16 && fields.size() == 2 && fields[0].name == "str" && fields[1].name == "len" &&
      is_byte_pointer(types, fields[0].type)) {
    return {GoForm::string, types[fields[0].type].target};
  }
  return form_by_name(types, id);
}

}  // namespace heapwalk::go
