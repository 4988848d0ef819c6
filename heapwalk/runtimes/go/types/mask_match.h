// What an object may be that nothing typed leads to: of all types of the program, those whose slot it is, whose pointers the
// collector sees in it, and whose pointers lead to what such pointers would lead to.
//
//     a slot of 496 bytes, pointers 0011 0100 1…     three structs get such a slot, one has such pointers: main.Registry
//     its first pointer                              leads to a slot for a map<string,*main.Node>: agrees
//     its next one                                   leads to an object known as something else: does not
//
// One candidate has to be left, and something has to speak for it: an object full of nulls is nothing yet.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "heapwalk/runtimes/go/types/claim_judge.h"
#include "heapwalk/runtimes/go/types/value_walk.h"

namespace heapwalk::go {

class MaskMatch {
 public:
  // Of the structs that the program has descriptors of, and of maps and channels. Works out their plans.
  MaskMatch(const GoTypes& types, WalkPlans& plans);

  struct Sources {  // nothing of it is changed
    const TypingInputs& inputs;
    const GoTypes& types;
    const ClaimJudge& judge;
    const ValueWalk& walk;
    const WalkPlans& plans;
    const ObjectTyping& typing;
  };
  // Of a used object without a type. Thread-safe.
  TypeId match(const Sources& sources, const Span& span, AddressRange slot) const;

 private:
  static bool agrees(const Sources& sources, const WalkPlan& plan, Address at, Bytes bytes);
  static bool is_sound(const Sources& sources, const WalkPlan& plan, Bytes bytes);

  std::unordered_map<uint64_t, std::vector<TypeId>> by_mask_;
};

}  // namespace heapwalk::go
