// C's own vtables: allocations that refer to a variable which says what they are.
//
//     dictEntry.val ─void*─► 48 bytes: [ &setDictType ][ … ]        dictType setDictType = { hash, … };      a variable
//
// No pointer tells the type of these bytes. But their first word leads to a variable of type dictType, and of all records
// that take up so many bytes only `struct dict` has a dictType* there: files and their operations, drivers, CPython's
// objects. Its other pointers must not contradict (type_agreement.h), nor those of most allocations of that sort.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "heapwalk/types/type_agreement.h"

namespace heapwalk {

class DescriptorPointers {
 public:
  // All are borrowed.
  DescriptorPointers(const CoreDump& dump, const ObjectIndex& objects, ClaimState& state,
                     const TypeAgreement& agreement)
      : dump_(dump), objects_(objects), state_(state), agreement_(agreement) {}

  // Claims about allocations of which nothing is known yet.
  std::vector<Claim> claims(size_t threads);

 private:
  struct Sort {  // allocations that are probably of one type
    TypeId descriptor;
    uint32_t offset_bytes;
    uint64_t size_bytes;
    friend auto operator<=>(const Sort&, const Sort&) = default;
  };
  struct Member {
    uint32_t object;
    Address start;
  };
  using Sorts = std::map<Sort, std::vector<Member>>;

  Sorts find_members(size_t threads) const;
  std::map<Sort, std::vector<TypeId>> find_candidates(const Sorts& sorts);
  TypeId choose(const std::vector<TypeId>& candidates, const Member& member) const;

  const CoreDump& dump_;
  const ObjectIndex& objects_;
  ClaimState& state_;
  const TypeAgreement& agreement_;
};

}  // namespace heapwalk
