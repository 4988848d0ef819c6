#include "dwarf/type_merger.h"

#include <utility>

namespace heapwalk {
namespace {

constexpr TypeId kNotAsked{UINT32_MAX - 1};

bool has_target(TypeKind kind) {
  return kind == TypeKind::pointer || kind == TypeKind::array || kind == TypeKind::enumeration;
}

}  // namespace

TypeMerger::TypeMerger(const TypeArrays& module, TypeTableBuilder& process)
    : module_(module), process_(process), ids_(module.types.size(), kNotAsked) {}

void TypeMerger::add_definitions() {
  for (uint32_t i = 0; i < module_.types.size(); ++i) {
    const Type& type = module_.types[i];
    const bool is_definition =
        type.kind == TypeKind::record || type.kind == TypeKind::union_ || type.kind == TypeKind::enumeration;
    if (is_definition && !type.name.empty()) id_of(TypeId{i});
  }
  fill_added();
}

// Follows targets to the first type that is known, and adds the others on the way back.
TypeId TypeMerger::id_of(TypeId module_id) {
  std::vector<uint32_t> chain;
  TypeId id = module_id;
  while (id != kNoType && ids_[index(id)] == kNotAsked) {
    chain.push_back(index(id));
    const Type& type = module_.types[index(id)];
    id = has_target(type.kind) ? type.target : kNoType;
  }
  if (id != kNoType) id = ids_[index(id)];
  for (auto at = chain.rbegin(); at != chain.rend(); ++at) id = ids_[*at] = add(module_.types[*at], id, *at);
  return id;
}

TypeId TypeMerger::add(const Type& type, TypeId target, uint32_t at) {
  switch (type.kind) {
    case TypeKind::base:
      return process_.base(type.name, type.size_bytes, type.encoding);
    case TypeKind::pointer:
      return process_.pointer_to(target, type.form, type.size_bytes);
    case TypeKind::array:
      return process_.array_of(target, type.count);
    case TypeKind::function:
      return process_.function();
    case TypeKind::enumeration:
      return process_.enumeration(type.name, type.size_bytes, target);
    case TypeKind::declaration:
      return process_.declare(type.name);
    case TypeKind::record:
    case TypeKind::union_:
      break;
  }
  const TypeTableBuilder::Opened opened = process_.open(type.kind, type.name, type.size_bytes);
  if (opened.is_new) added_.push_back(at);
  return opened.id;
}

void TypeMerger::fill_added() {
  while (!added_.empty()) {
    const uint32_t at = added_.front();
    added_.pop_front();
    const Type& type = module_.types[at];
    std::vector<Field> fields;
    for (Field field : module_.fields.subspan(type.first_field, type.field_count)) {
      field.type = id_of(field.type);
      fields.push_back(field);
    }
    std::vector<TypeId> arguments;
    for (TypeId argument : module_.arguments.subspan(type.first_argument, type.argument_count)) {
      arguments.push_back(id_of(argument));
    }
    process_.fill(ids_[at], std::move(fields), std::move(arguments));
    process_.set_mangled(ids_[at], type.mangled);
  }
}

}  // namespace heapwalk
