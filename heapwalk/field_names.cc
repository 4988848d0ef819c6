#include "heapwalk/field_names.h"

#include <fmt/format.h>

#include "heapwalk/types/container_places.h"

namespace heapwalk {
namespace {

constexpr int kMaxDepth = 64;

void append(std::string& name, std::string_view part) {
  if (part.empty()) return;
  if (!name.empty()) name += '.';
  name += part;
}

// Names of a library's own making: nobody who uses std::optional has heard of "_M_payload", or of boost's "m_flat_tree".
bool is_internal(const TypeTable& types, TypeId record, const Field& field) {
  if (field.name.starts_with("_M_") || field.name.starts_with("__")) return true;
  const std::string_view name = types[record].name;
  return (name.starts_with("absl::") || name.starts_with("boost::")) && is_container_shell(types, record, field);
}

// The field that covers the offset: the last one that begins at or before it and is large enough; null: padding.
const Field* field_at(const TypeTable& types, TypeId record, uint64_t offset) {
  const Field* found = nullptr;
  for (const Field& field : types.fields(record)) {
    if (field.offset_bytes > offset) break;
    if (offset - field.offset_bytes < std::max<uint64_t>(types.size_bytes(field.type), 1)) {
      // An empty base lies where the first member does, and is said to be one byte large.
      const bool was_empty = found != nullptr && types.size_bytes(found->type) <= 1 && types.size_bytes(field.type) > 1;
      if (found == nullptr || field.offset_bytes > found->offset_bytes || was_empty) found = &field;
    }
  }
  return found;
}

}  // namespace

std::string field_name(const TypeTable& types, const Containers& containers, TypeId type, uint64_t offset_bytes) {
  std::string name;
  for (int depth = 0; depth < kMaxDepth && type != kNoType; ++depth) {
    const Type& here = types[type];
    if (offset_bytes >= std::max<uint64_t>(here.size_bytes, 1)) {
      append(name, fmt::format("+{:#x}", offset_bytes));
      break;
    }
    if (here.kind == TypeKind::array) {
      const uint64_t each = types.size_bytes(here.target);
      if (each == 0) break;
      name += "[…]";
      offset_bytes %= each;
      type = here.target;
      continue;
    }
    if (here.kind != TypeKind::record && here.kind != TypeKind::union_) break;
    const ContainerRule* rule = containers.rule_of(type);
    if (rule != nullptr && rule->storage.empty()) break;
    if (rule != nullptr) {
      const auto stored = containers.stored_at(*rule, type, offset_bytes);
      if (!stored) {
        append(name, "next");
        break;
      }
      offset_bytes -= stored->offset_bytes;
      type = stored->type;
      continue;
    }
    const Field* field = field_at(types, type, offset_bytes);
    if (field == nullptr) {
      append(name, fmt::format("+{:#x}", offset_bytes));
      break;
    }
    if (!field->is_base && !is_internal(types, type, *field)) append(name, field->name);
    offset_bytes -= field->offset_bytes;
    type = field->type;
  }
  return name;
}

}  // namespace heapwalk
