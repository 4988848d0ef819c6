// A claim: this allocation is of that type, and how much that is to be believed.
//
//     one Session in 56 bytes, of its size     value        believed before
//     Sessions side by side in 560 bytes       array        those that come
//     something with a Session in front        prefix       after it
//
// The strongest claim wins, of equals the first (heapwalk/types/type_inference.cc).
#pragma once

#include <cstdint>
#include <vector>

#include "heapwalk/types/element_use.h"
#include "heapwalk/types/object_types.h"

namespace heapwalk {

// Of a claim, best first. `loose`: a value that leaves more room than malloc rounds up to, so that it may as well be the
// beginning of something larger. Arrays of pointerful records and plain numbers are what wrong pointers look like most.
enum class Strength : uint8_t {
  runtime,
  container,
  value,
  embedding,
  loose,
  array,
  numbers,
  field,
  weak,
  prefix,
  none
};

// malloc rounds up to 16 bytes and does not split off a remainder below 32; large blocks are whole pages.
constexpr uint64_t kMaxSlackBytes = 32;
constexpr uint64_t kLargeBlock = 64 << 10;
constexpr uint64_t max_slack(uint64_t size_bytes) {
  return size_bytes < kLargeBlock ? kMaxSlackBytes : kMaxSlackBytes + 4096;
}

// Whether a request for `each` bytes gets a block of that size, unless malloc found none to split.
constexpr bool is_snug(uint64_t size_bytes, uint64_t each) {
  return size_bytes <= 24 || size_bytes - each < (size_bytes < kLargeBlock ? 16 : 16 + 4096);
}

struct Claim {
  uint32_t object = 0;
  Address start;  // of the object
  TypeId element = kNoType;
  Strength strength = Strength::none;
  bool is_array = false;
  uint32_t header_bytes = 0;
  bool has_tail = false;
  TypeEvidence evidence = TypeEvidence::pointer;
  ElementUse use = {};
};

struct Hint {  // a record lies in the object, but is not all of it
  uint32_t object = 0;
  TypeId part = kNoType;
  uint64_t offset_bytes = 0;
};

struct TraitObject {  // what lies there is of the vtable's type
  Address value;
  Address vtable;
  const PointerSlot* slot;
};

struct Found {  // by one worker
  std::vector<Claim> claims;
  std::vector<Hint> hints;
  std::vector<TraitObject> trait_objects;

  void clear() {
    claims.clear();
    hints.clear();
    trait_objects.clear();
  }
};

}  // namespace heapwalk
