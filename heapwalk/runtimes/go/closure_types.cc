#include "heapwalk/runtimes/go/closure_types.h"

#include <string>
#include <vector>

namespace heapwalk::go {

TypeId ClosureTypes::type_of(Address entry, uint64_t room_bytes) {
  auto [at, is_new] = known_.try_emplace(entry, kNoType);
  if (is_new) at->second = make(entry, room_bytes);
  return at->second;
}

TypeId ClosureTypes::make(Address entry, uint64_t room_bytes) {
  const auto function = functions_->find(entry);
  if (!function) return kNoType;
  const TypeTable& table = types_->table();
  TypeId shape = *described_ ? (*described_)(entry) : kNoType;
  if (auto known = structs_.find(entry); shape == kNoType && known != structs_.end())
    shape = types_->add(known->second);
  if (shape != kNoType && table.size_bytes(shape) > room_bytes) shape = kNoType;
  TypeTableBuilder& builder = types_->builder();
  std::vector<heapwalk::Field> fields;
  if (shape == kNoType) {
    fields.push_back(
        {.name = "F", .type = builder.base("uintptr", 8, BaseEncoding::unsigned_integer), .offset_bytes = 0});
  } else {
    fields.assign(table.fields(shape).begin(), table.fields(shape).end());
  }
  const uint64_t size_bytes = shape == kNoType ? room_bytes : table.size_bytes(shape);
  const auto opened = builder.open(TypeKind::record, "func " + std::string(function->name), size_bytes);
  if (opened.is_new) builder.fill(opened.id, std::move(fields), {});
  return opened.id;
}

}  // namespace heapwalk::go
