#include "heapwalk/types/object_types.h"

#include <algorithm>

namespace heapwalk {

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
  for (uint32_t i = 0; i < kSizeClasses; ++i) names_.push_back(size_class_name(i));
  containers_ = std::make_unique<Containers>(table_);
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
