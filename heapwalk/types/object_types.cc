#include "heapwalk/types/object_types.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace heapwalk {
namespace {

std::string size_class_name(uint64_t from_bytes, uint64_t to_bytes) {
  auto unit = [](uint64_t bytes) {
    if (bytes >= 1ULL << 40) return fmt::format("{}TB", bytes >> 40);
    if (bytes >= 1ULL << 30) return fmt::format("{}GB", bytes >> 30);
    if (bytes >= 1ULL << 20) return fmt::format("{}MB", bytes >> 20);
    return fmt::format("{}KB", bytes >> 10);
  };
  return fmt::format("[{}..{})", unit(from_bytes), unit(to_bytes));
}

}  // namespace

std::string_view to_string(TypeEvidence evidence) {
  switch (evidence) {
    case TypeEvidence::runtime:
      return "runtime";
    case TypeEvidence::container:
      return "container";
    case TypeEvidence::pointer:
      return "pointer";
    case TypeEvidence::field:
      return "field";
    case TypeEvidence::none:
      return "none";
  }
  return "none";
}

ObjectTypes::ObjectTypes() : kinds_(1) {
  for (uint32_t i = 0; i < kSmallClasses; ++i) names_.push_back(fmt::format("[{} B]", i * 8));
  for (uint32_t i = 0; i < kSizeClasses - kSmallClasses; ++i)
    names_.push_back(i < 53 ? size_class_name(1ULL << (i + 10), 1ULL << (i + 11)) : "[huge]");
  containers_ = std::make_unique<Containers>(table_);
}

uint32_t ObjectTypes::size_class(uint64_t size_bytes) {
  if (size_bytes <= 1024) return static_cast<uint32_t>((size_bytes + 7) / 8);
  return std::min<uint32_t>(kSmallClasses + static_cast<uint32_t>(std::bit_width(size_bytes)) - 11, kSizeClasses - 1);
}

uint64_t ObjectTypes::bytes_in_use(ObjectId object, uint64_t size_bytes) const {
  auto at = std::ranges::lower_bound(in_use_, index(object), {}, &InUse::object);
  return at != in_use_.end() && at->object == index(object) ? std::min(at->bytes, size_bytes) : size_bytes;
}

const ElementUse* ObjectTypes::use_of(ObjectId object) const {
  if (uses_.empty()) return nullptr;
  auto at = std::ranges::lower_bound(uses_, index(object), {}, &std::pair<uint32_t, ElementUse>::first);
  return at != uses_.end() && at->first == index(object) ? &at->second : nullptr;
}

const TypeLayout* ObjectTypes::layout_of(TypeId type) const {
  return type == kNoType || layouts_ == nullptr ? nullptr : layouts_->find(type);
}

}  // namespace heapwalk
