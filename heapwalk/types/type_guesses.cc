#include "heapwalk/types/type_guesses.h"

#include <algorithm>
#include <iterator>

namespace heapwalk {
namespace {

constexpr double kNearlyAll = 0.9;
constexpr size_t kMaxParts = 4096;  // of one record, nested ones included

}  // namespace

FieldVotes::Target FieldVotes::winner(Field field) const {
  auto at = votes_.find(field);
  if (at == votes_.end()) return {};
  uint64_t all = 0;
  const std::pair<const Target, uint64_t>* best = nullptr;
  for (const auto& entry : at->second) {
    all += entry.second;
    if (best == nullptr || entry.second > best->second) best = &entry;
  }
  if (best == nullptr) return {};
  return static_cast<double>(best->second) >= kNearlyAll * static_cast<double>(all) ? best->first : Target{};
}

Embeddings::Embeddings(const TypeTable& types, std::vector<TypeId> parts) : types_(&types) {
  std::ranges::sort(parts);
  struct Part {
    TypeId type;
    uint64_t offset_bytes;
  };
  std::vector<Part> pending;
  for (uint32_t i = 0; i < types.size(); ++i) {
    if (types[TypeId{i}].kind != TypeKind::record) continue;
    pending.assign(1, {TypeId{i}, 0});
    for (size_t p = 0; p < pending.size() && p < kMaxParts; ++p) {
      const Part part = pending[p];
      for (const Field& field : types.fields(part.type)) {
        if (field.type == kNoType || types[field.type].kind != TypeKind::record) continue;
        pending.push_back({field.type, part.offset_bytes + field.offset_bytes});
        if (!std::ranges::binary_search(parts, field.type)) continue;
        std::vector<TypeId>& records = records_[{field.type, pending.back().offset_bytes}];
        if (records.empty() || records.back() != TypeId{i}) records.push_back(TypeId{i});
      }
    }
  }
}

std::vector<TypeId> Embeddings::around(TypeId part, uint64_t offset_bytes, uint64_t size_bytes,
                                       uint64_t slack_bytes) const {
  std::vector<TypeId> fitting;
  auto at = records_.find({part, offset_bytes});
  if (at == records_.end()) return fitting;
  std::ranges::copy_if(at->second, std::back_inserter(fitting), [&](TypeId record) {
    const uint64_t record_bytes = types_->size_bytes(record);
    return record_bytes <= size_bytes && size_bytes - record_bytes < slack_bytes;
  });
  return fitting;
}

}  // namespace heapwalk
