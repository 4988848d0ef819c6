// What the fields lead to that say nothing themselves: `void*`, and the members of unions.
//
// They are told by the company they keep. Everything of one type is asked in turn: a field that leads to something known
// votes (type_guesses.h), one that leads to something unknown waits, and is then believed to lead to what nearly all the
// others do. Of a union's pointers, the only reading that makes sense is in use.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapwalk/types/type_claims.h"
#include "heapwalk/types/type_guesses.h"

namespace heapwalk {

class FieldCompany {
 public:
  // All are borrowed.
  FieldCompany(const ObjectIndex& objects, ClaimState& state, const PointerJudge& judge)
      : objects_(objects), state_(state), judge_(judge) {}

  static bool is_guessable(const TypeLayout& layout);
  // One value of the type `owner`: votes for what is known or has one reading only; remembers what has none or several.
  void ask(TypeId owner, const TypeLayout& layout, Bytes bytes, std::vector<Claim>& claims);
  // Once all have been asked: what was remembered and the votes decide.
  void answer(std::vector<Claim>& claims) const;
  uint64_t dropped() const { return dropped_; }  // fields that could not be remembered

 private:
  struct Open {  // what a field leads to that no pointer tells
    uint32_t object;
    FieldVotes::Field field;
  };
  bool choose_reading(const TypeLayout& layout, Bytes bytes, std::span<const PointerSlot> readings,
                      FieldVotes::Field field, Address value, std::vector<Claim>& claims);
  bool fits(const Claim& claim) const;

  const ObjectIndex& objects_;
  ClaimState& state_;
  const PointerJudge& judge_;
  FieldVotes votes_;
  std::vector<Open> open_;
  uint64_t dropped_ = 0;
};

}  // namespace heapwalk
