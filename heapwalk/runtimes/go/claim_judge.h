// Whether what a typed value says about an object is to be believed (object_typing.h lists the strengths).
//
//     one Session, 40 bytes  ─► the start of a slot of 48   the slot for it; the collector's bits are a Session's: exact
//                            ─► the start of a slot of 96   bits of a Session twice: two of them; else the first field of something
//     room for 4 Items       ─► the start of a slot for 4   counted
//                            ─► the middle of a slot        a slice of a slice: counted if the rest fits, fitting if the bits do
//
// Only reads: many may work at once.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "heapwalk/runtimes/go/object_typing.h"
#include "heapwalk/runtimes/go/span_index.h"
#include "heapwalk/runtimes/go/value_walk.h"

namespace heapwalk::go {

struct GoClaim {
  Address start;  // of the slot
  uint32_t object = 0;
  TypeId type = kNoType;
  Strength strength = Strength::none;
  bool is_array = false, has_tail = false;
  bool is_closure = false;  // the type follows from its first word
  uint8_t header_bytes = 0;
};

// Where an address leads, looked up step by step so that many can wait for memory together.
struct Located {
  const Span* span = nullptr;  // null: not into the heap
  PageDirectory::Place place;
  ObjectIndex::Nearest nearest;
};

// Something of a type lies in an object without a known one, and is not all of it.
struct Hint {
  uint32_t object = 0;
  Address start;
  TypeId part = kNoType;
  uint64_t offset_bytes = 0;  // behind the header
};

struct Doubts {
  uint64_t conflicts = 0;
  std::vector<Hint> hints;
};

class ClaimJudge {
 public:
  // All outlive this. `typing` may change between the calls, the others not.
  ClaimJudge(const TypingInputs& inputs, const SpanIndex& spans, const WalkPlans& plans, const ObjectTyping& typing)
      : inputs_(&inputs), spans_(&spans), plans_(&plans), typing_(&typing) {}

  // Nothing where the value leads to no object, says nothing better than what is known, or cannot be so.
  std::optional<GoClaim> judge(const Lead& lead, const Located& located, Doubts& doubts) const;
  Located locate(Address address) const;                   // the first step …
  void approach(Address address, Located& located) const;  // … and the second
  // Whether one value of the type may be what the slot was made for, behind its header.
  bool could_be(Address slot, TypeId type) const;

  // What a slot with a type beside it holds: of large objects and those with a header.
  static ObjectKind noted_kind(const Span& span, TypeId type, const WalkPlan& plan);

 private:
  struct Slot {
    const Span* span = nullptr;
    Address start;
    uint64_t offset_bytes = 0;  // of the address, behind the header
    uint64_t room_bytes = 0;    // without the header
    uint8_t header_bytes = 0;
  };
  static std::optional<Slot> slot_of(Address address, const Span& span);
  bool is_slot_for(const Slot& slot, uint64_t bytes) const;
  const WalkPlan* plan_of(const Lead& lead, const Slot& slot, TypeId& type) const;
  Strength value_strength(const Slot& slot, const Lead& lead, const WalkPlan& plan, GoClaim& claim) const;
  Strength array_strength(const Slot& slot, const Lead& lead, const WalkPlan& plan) const;
  Strength channel_strength(const Slot& slot, Address at, const WalkPlan& plan, GoClaim& claim) const;
  Strength closure_strength(const Slot& slot, GoClaim& claim) const;
  // How many values the collector's pointers in the slot are those of; 0: of none. Null where it says nothing of them.
  std::optional<uint64_t> matching_values(const Slot& slot, const WalkPlan& plan) const;

  const TypingInputs* inputs_;
  const SpanIndex* spans_;
  const WalkPlans* plans_;
  const ObjectTyping* typing_;
};

}  // namespace heapwalk::go
