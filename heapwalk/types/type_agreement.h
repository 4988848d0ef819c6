// Whether an allocation can be a certain record, by where its own pointers lead.
//
//     24 bytes: [ 0x5581c0 = &dbDictType ][ 0x7f10 → 512 bytes ][ 0 ]      struct dict { dictType* type; dictEntry** table; … }
//                 a variable of type dictType: confirmed     may well be: nothing said
//
// A pointer that leads to something known to be what its field says confirms; one that leads to something else contradicts.
// One that leads nowhere is a doubt: it is no pointer, or one with a tag in its low bits. Null pointers and what is not known
// say nothing. It is how one candidate is told from others of its size.
#pragma once

#include <cstdint>
#include <span>

#include "heapwalk/root_set.h"
#include "heapwalk/types/type_claims.h"

namespace heapwalk {

struct Agreement {
  uint32_t objects = 0;    // pointers to allocations that are known to be what the field says
  uint32_t variables = 0;  // to variables of that type
  uint32_t doubts = 0;     // to nothing at all
  bool contradicted = false;
  uint32_t confirmed() const { return objects + variables; }
  // Nothing speaks against it, or more for it.
  bool is_possible() const { return !contradicted && (doubts == 0 || confirmed() > doubts); }
};

class TypeAgreement {
 public:
  // All are borrowed. `variables` by address.
  TypeAgreement(const CoreDump& dump, const ObjectIndex& objects, const ClaimState& state,
                std::span<const TypedVariable> variables)
      : dump_(&dump), objects_(&objects), state_(&state), variables_(variables) {}

  // Of the allocation that begins at `start` with one record of this layout. Thread-safe while nothing is claimed.
  Agreement of(const TypeLayout& layout, Address start) const;
  // The type of the variable that begins there, kNoType when none does.
  TypeId variable_at(Address address) const;
  std::span<const TypedVariable> variables() const { return variables_; }

 private:
  void ask(const PointerSlot& slot, Address value, Agreement& agreement) const;
  bool is_or_begins_with(TypeId type, TypeId wanted) const;

  const CoreDump* dump_;
  const ObjectIndex* objects_;
  const ClaimState* state_;
  std::span<const TypedVariable> variables_;
};

}  // namespace heapwalk
