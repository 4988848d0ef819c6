#include "heapwalk/runtimes/go/types/embedding.h"

#include <algorithm>

namespace heapwalk::go {
namespace {

constexpr size_t kMaxHolders = 256;

}  // namespace

Embedding::Embedding(const GoTypes& types) : types_(&types) {
  const TypeTable& table = types.table();
  for (uint32_t i = 0; i < table.size(); ++i) {
    for (const heapwalk::Field& field : table.fields(TypeId{i})) {
      TypeId part = field.type;
      Holder holder{.type = TypeId{i}, .offset_bytes = field.offset_bytes};
      if (part != kNoType && table[part].kind == TypeKind::array) {
        holder.count = table[part].count;
        part = table[part].target;
        holder.stride = table.size_bytes(part);
      }
      if (part != kNoType && table[part].kind == TypeKind::record && holder.count > 0) direct_[part].push_back(holder);
    }
  }
}

std::vector<Embedding::Holder> Embedding::holders_of(TypeId part) const {
  std::vector<Holder> found;
  std::vector<Holder> open = {{.type = part, .offset_bytes = 0}};  // nothing holds itself: this ends
  for (size_t i = 0; i < open.size(); ++i) {
    const auto at = direct_.find(open[i].type);
    if (at == direct_.end()) continue;
    for (Holder holder : at->second) {
      if (open.size() > kMaxHolders) return {};
      if (holder.stride != 0 && open[i].stride != 0) continue;  // arrays of arrays
      const uint64_t inner = open[i].offset_bytes;
      if (open[i].stride != 0) {
        holder.count = open[i].count;
        holder.stride = open[i].stride;
      }
      holder.offset_bytes += inner;
      open.push_back(holder);
      if (types_->descriptor_of(holder.type)) found.push_back(holder);
    }
  }
  return found;
}

}  // namespace heapwalk::go
