#include "heapwalk/runtimes/go/closure_types.h"

#include <algorithm>

namespace heapwalk::go {

TypeId ClosureTypes::type_of(Address code, uint64_t room_bytes) {
  auto [at, is_new] = known_.try_emplace(code, kNoType);
  if (is_new) at->second = make(code, room_bytes);
  return at->second;
}

TypeId ClosureTypes::make(Address code, uint64_t room_bytes) {
  const auto function = functions_->find(code);
  if (!function) return kNoType;
  if (*described_) {
    const TypeId described = (*described_)(code);
    if (described != kNoType && types_->table().size_bytes(described) <= room_bytes) return described;
  }
  TypeTableBuilder& builder = types_->builder();
  std::vector<heapwalk::Field> fields = {
      {.name = "F", .type = builder.base("uintptr", 8, BaseEncoding::unsigned_integer), .offset_bytes = 0}};
  if (const TypeId receiver = receiver_of(function->name); receiver != kNoType) {
    fields.push_back({.name = "R", .type = receiver, .offset_bytes = 8});
  }
  const auto opened = builder.open(TypeKind::record, "func " + std::string(function->name), room_bytes);
  if (opened.is_new) builder.fill(opened.id, std::move(fields), {});
  return opened.id;
}

// "net/http.(*conn).serve-fm": a pointer to net/http.conn; "time.Time.Unix-fm": a time.Time.
TypeId ClosureTypes::receiver_of(std::string_view method) const {
  if (!method.ends_with("-fm")) return kNoType;
  const size_t star = method.find(".(*");
  const TypeTable& table = types_->table();
  if (star != std::string_view::npos) {
    const size_t end = method.find(")", star);
    if (end == std::string_view::npos) return kNoType;
    const std::string name = std::string(method.substr(0, star + 1)) + std::string(method.substr(star + 3, end - star - 3));
    const auto type = table.find(name);
    return type ? types_->builder().pointer_to(*type) : kNoType;
  }
  const auto type = table.find(method.substr(0, method.rfind('.')));
  return type.value_or(kNoType);
}

}  // namespace heapwalk::go
