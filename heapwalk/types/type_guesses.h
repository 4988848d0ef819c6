// Evidence of second rank: what no typed pointer says about an allocation, but the company it keeps.
//
//     votes        `void* context` of 900 jobs leads to 900 Requests; where it leads for the 901st is a Request too
//                  (and the member of a union that is in use is what it is wherever the tag says the same)
//     embeddings   a `list_head*` leads 16 bytes into an allocation of 56: of all records only Session has a list_head
//                  there and is of that size (container_of, intrusive lists)
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dwarf/type_table.h"

namespace heapwalk {

// What one field leads to, over all objects that have it.
class FieldVotes {
 public:
  struct Field {
    TypeId owner;
    uint32_t offset_bytes;
    uint32_t tag = 0;  // of a union's member: what the tag beside it says
    friend auto operator<=>(const Field&, const Field&) = default;
  };
  struct Target {
    TypeId element = kNoType;
    bool is_array = false;
    friend auto operator<=>(const Target&, const Target&) = default;
  };

  void add(Field field, Target target) { ++votes_[field][target]; }
  // The target that nearly all known ones are; kNoType when there is none.
  Target winner(Field field) const;

 private:
  std::map<Field, std::map<Target, uint64_t>> votes_;
};

// Where records lie inside records.
class Embeddings {
 public:
  // `parts`: the records that will be asked for. One pass over all types.
  Embeddings(const TypeTable& types, std::vector<TypeId> parts);

  // The records with `part` at `offset_bytes` that leave less than `slack_bytes` of `size_bytes`.
  std::vector<TypeId> around(TypeId part, uint64_t offset_bytes, uint64_t size_bytes, uint64_t slack_bytes) const;

 private:
  const TypeTable* types_;
  std::map<std::pair<TypeId, uint64_t>, std::vector<TypeId>> records_;  // by part and offset
};

}  // namespace heapwalk
