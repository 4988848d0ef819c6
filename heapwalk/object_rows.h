// One row per allocation: the table behind `heapwalk objects`.
//
// Rows are made one at a time while they are visited, in the order asked for, so the table itself takes no memory. What a row
// needs beyond the index is one number per graph node: the root at the top of its shortest path, found by one pass over
// the reachability order (a parent stands before its children, so its answer is theirs).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "heapwalk/analysis.h"

namespace heapwalk {

struct ObjectQuery {
  enum class Sort : uint8_t { address, size, retained };  // the latter two descending, ties by address

  std::array<bool, kAllocationStates> states = {true, false, false, false, false};  // by AllocationState: used
  std::string type;                                                                 // exactly this name; empty: any
  std::optional<bool> reachable;  // by any root, over any kind of edge
  uint64_t min_size_bytes = 0;
  Sort sort = Sort::address;
  uint64_t limit = 0;  // rows at most; 0: all
};

struct ObjectRow {  // text is borrowed from the analysis
  Address address;
  uint64_t size_bytes = 0;
  AllocationState state = AllocationState::used;
  std::string_view allocator;
  std::string_view type;  // empty unless used, as nothing but a used block is an object
  TypeEvidence evidence = TypeEvidence::none;
  bool reachable = false;
  uint64_t retained_bytes = 0;
  std::string_view root;  // a root that reaches it by the shortest path; empty: none
};

std::string_view to_string(AllocationState state);
std::optional<AllocationState> parse_allocation_state(std::string_view name);

// Until `visit` returns false.
void for_each_object_row(const Analysis& analysis, const ObjectQuery& query,
                         const std::function<bool(const ObjectRow&)>& visit);

}  // namespace heapwalk
