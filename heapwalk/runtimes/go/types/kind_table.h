// Numbers for the ways in which types fill slots, so that what an object is takes two bytes.
//
//     element ─► row ─► [strength, array, tail, header] ─► number ─► ObjectKind, and where its values lead on
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "heapwalk/runtimes/go/types/object_typing.h"
#include "heapwalk/runtimes/go/types/walk_plan.h"

namespace heapwalk::go {

class KindTable {
 public:
  // Both outlive this. `kinds` is ObjectTyping's: what is added here is added there.
  KindTable(std::vector<ObjectKind>& kinds, WalkPlans& plans) : kinds_(&kinds), plans_(&plans) {}

  // The number of a kind that was added, or 0. Thread-safe while add() is not called.
  uint16_t find(const ObjectKind& kind) const {
    const uint32_t type = index(kind.element);
    return type < rows_.size() && rows_[type] != 0 ? numbers_[rows_[type]][place(kind)] : uint16_t{0};
  }
  // 0: nothing is known by it, or there are too many kinds, which is counted.
  uint16_t add(const ObjectKind& kind);

  const ObjectKind& operator[](uint16_t number) const { return (*kinds_)[number]; }
  // Null where values lead nowhere.
  const WalkPlan* plan(uint16_t number) const { return leading_[number]; }
  uint64_t dropped() const { return dropped_; }

 private:
  using Row = std::array<uint16_t, 64>;
  static size_t place(const ObjectKind& kind) {
    return static_cast<size_t>(kind.strength) << 3 | size_t{kind.is_array} << 2 | size_t{kind.has_tail} << 1 |
           size_t{kind.header_bytes != 0};
  }

  std::vector<ObjectKind>* kinds_;
  WalkPlans* plans_;
  std::vector<uint32_t> rows_;                        // by type; 0: none
  std::vector<Row> numbers_ = std::vector<Row>(1);    // by row
  std::vector<const WalkPlan*> leading_ = {nullptr};  // by kind
  uint64_t dropped_ = 0;
};

}  // namespace heapwalk::go
