#include "heapwalk/runtimes/go/types/kind_table.h"

#include <algorithm>

namespace heapwalk::go {

uint16_t KindTable::add(const ObjectKind& kind) {
  constexpr size_t kMaxKinds = UINT16_MAX;
  if (kind.strength == Strength::none || kind.element == kNoType) return 0;
  const uint32_t type = index(kind.element);
  if (type >= rows_.size()) rows_.resize(std::max<size_t>(type + size_t{1}, rows_.size() * 2));
  if (rows_[type] == 0) {
    rows_[type] = static_cast<uint32_t>(numbers_.size());
    numbers_.emplace_back();
  }
  uint16_t& number = numbers_[rows_[type]][place(kind)];
  if (number != 0) return number;
  if (kinds_->size() > kMaxKinds) {
    ++dropped_;
    return 0;
  }
  const WalkPlan& plan = plans_->of(kind.element);
  leading_.push_back(plan.places.empty() || plan.size_bytes == 0 ? nullptr : &plan);
  kinds_->push_back(kind);
  return number = static_cast<uint16_t>(kinds_->size() - 1);
}

}  // namespace heapwalk::go
