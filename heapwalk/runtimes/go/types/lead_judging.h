// From what values lead to, to what is claimed of objects: one worker's part of a step.
//
//     leads ─► looked up, thirty-two at a time ─┬─► claims, by the share of the objects that they are about
//                                               ├─► rare ones: kinds and closures that were not met before
//                                               └─► interfaces of unknown types, values outside of the heap, hints
//
// The objects are dealt out to shares, so that claims can be applied by several workers: each applies those of its shares, in
// the order of the pieces. The shares do not depend on the number of workers, and neither does the result.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "heapwalk/runtimes/go/types/claimed_queue.h"
#include "heapwalk/runtimes/go/types/typing_tools.h"

namespace heapwalk::go {

constexpr size_t kShares = 16;
constexpr size_t share_of(uint32_t object) {
  return object >> 12 & (kShares - 1);
}

struct Static {  // a typed value outside of the heap
  Address address;
  TypeId type;
  uint64_t count;
};

// What one worker found.
struct Found {
  std::vector<Lead> leads;  // to be judged
  std::array<std::vector<Claimed>, kShares> claims;
  std::vector<GoClaim> rare;
  std::vector<Lead> unknown;  // interfaces whose types were not met
  std::vector<Static> statics;
  Doubts doubts;
};

// Leads become the rest of `found`. Thread-safe for distinct `found`.
void judge_leads(const TypingTools& tools, Found& found);

}  // namespace heapwalk::go
