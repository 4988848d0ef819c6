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
#include <span>
#include <vector>

#include "heapwalk/runtimes/go/heap/span_index.h"
#include "heapwalk/runtimes/go/types/closure_types.h"
#include "heapwalk/runtimes/go/types/object_typing.h"
#include "heapwalk/runtimes/go/types/value_walk.h"

namespace heapwalk::go {

struct GoClaim {
  Address start;  // of the slot
  uint32_t object = 0;
  ObjectKind kind;
  bool is_new_closure = false;  // the element follows from its first word, and is not known yet
};

// Where an address leads.
struct Located {
  const Span* span = nullptr;  // null: not into the heap
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
  ClaimJudge(const TypingInputs& inputs, const SpanIndex& spans, const WalkPlans& plans, const ClosureTypes& closures,
             const ObjectTyping& typing);

  // Nothing where the value leads to no object, says nothing better than what is known, or cannot be so.
  std::optional<GoClaim> judge(const Lead& lead, const Located& located, Doubts& doubts) const;
  // Where the leads' values lead. Each look-up waits for memory several times; those of some dozens of leads wait together.
  void locate(std::span<const Lead> leads, Located* located) const { locate_(*this, leads, located); }
  // Whether one value of the type may be what the slot was made for, behind its header.
  bool could_be(Address slot, TypeId type) const;

  // Whether the slot may hold several small values that have nothing to do with each other.
  bool is_tiny_block(Address slot) const;

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
  static Slot slot_at(Address start, const Span& span);
  bool is_slot_for(const Slot& slot, uint64_t bytes) const;
  const WalkPlan* plan_of(const Lead& lead, const Slot& slot, TypeId& type) const;
  Strength value_strength(const Slot& slot, const Lead& lead, const WalkPlan& plan, GoClaim& claim) const;
  Strength array_strength(const Slot& slot, const Lead& lead, const WalkPlan& plan) const;
  Strength channel_strength(const Slot& slot, Address at, const WalkPlan& plan, GoClaim& claim) const;
  Strength closure_strength(const Slot& slot, GoClaim& claim) const;
  Strength strength_of(const Slot& slot, const Lead& lead, GoClaim& claim, bool& is_generic) const;
  // How many values the collector's pointers in the slot are those of; 0: of none. Null where it says nothing of them.
  std::optional<uint64_t> matching_values(const Slot& slot, const WalkPlan& plan) const;

  using Locate = void (*)(const ClaimJudge&, std::span<const Lead>, Located*);
  void locate_all(std::span<const Lead> leads, Located* located) const;
  static void locate_plainly(const ClaimJudge& judge, std::span<const Lead> leads, Located* located);
  static void locate_popcnt(const ClaimJudge& judge, std::span<const Lead> leads, Located* located);

  const TypingInputs* inputs_;
  const SpanIndex* spans_;
  const WalkPlans* plans_;
  const ClosureTypes* closures_;
  const ObjectTyping* typing_;
  Locate locate_;
};

}  // namespace heapwalk::go
