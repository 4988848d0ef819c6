#include "heapwalk/runtimes/go/types/closure_types.h"

#include <algorithm>
#include <string>
#include <utility>
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
  TypeTableBuilder& builder = types_->builder();
  const TypeTable& table = types_->table();
  std::vector<heapwalk::Field> fields;
  uint64_t size_bytes = room_bytes;
  if (auto known = structs_.find(entry); known != structs_.end()) {
    const TypeId shape = types_->add(known->second);
    if (shape != kNoType && table.size_bytes(shape) <= room_bytes) {
      fields.assign(table.fields(shape).begin(), table.fields(shape).end());
      size_bytes = table.size_bytes(shape);
    }
  }
  if (fields.empty()) {
    fields.push_back(
        {.name = "F", .type = builder.base("uintptr", 8, BaseEncoding::unsigned_integer), .offset_bytes = 0});
  }
  name_by_source(entry, fields);
  const auto opened = builder.open(TypeKind::record, "func " + std::string(function->name), size_bytes);
  if (opened.is_new) builder.fill(opened.id, std::move(fields), {});
  return opened.id;
}

// The descriptor knows all fields, as X0, X1 …; the debug info those that are used, as they are called.
void ClosureTypes::name_by_source(Address entry, std::vector<heapwalk::Field>& fields) const {
  if (described_ == nullptr) return;
  const auto captured = described_->find(entry);
  if (captured == described_->end()) return;
  for (const CapturedVariable& variable : captured->second) {
    if (variable.offset_bytes == 0) continue;
    const auto same = std::ranges::find(fields, variable.offset_bytes, &heapwalk::Field::offset_bytes);
    if (same != fields.end()) {
      same->name = variable.name;
    } else {
      fields.push_back({.name = variable.name, .type = variable.type, .offset_bytes = variable.offset_bytes});
    }
  }
}

}  // namespace heapwalk::go
