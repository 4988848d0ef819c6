#include "dwarf/variables.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace heapwalk {
namespace {

std::vector<Interval> intervals_of(std::span<const Variable> variables) {
  std::vector<Interval> intervals(variables.size());
  std::ranges::transform(variables, intervals.begin(),
                         [](const Variable& v) { return Interval{v.address.value, v.size_bytes}; });
  return intervals;
}

void sort_and_deduplicate(std::vector<Variable>& variables) {
  auto key = [](const Variable& v) { return std::pair(v.address, ~v.size_bytes); };
  std::ranges::stable_sort(variables, {}, key);
  auto twins = std::ranges::unique(variables, {}, &Variable::address);
  variables.erase(twins.begin(), twins.end());
  variables.shrink_to_fit();
}

}  // namespace

VariableTable::VariableTable(std::vector<Variable> variables) : variables_(std::move(variables)) {
  auto tls_begin = std::ranges::stable_partition(variables_, [](const Variable& v) { return !v.tls; }).begin();
  tls_.assign(std::make_move_iterator(tls_begin), std::make_move_iterator(variables_.end()));
  variables_.erase(tls_begin, variables_.end());
  sort_and_deduplicate(variables_);
  sort_and_deduplicate(tls_);
  index_ = IntervalIndex(intervals_of(variables_));
  tls_index_ = IntervalIndex(intervals_of(tls_));
}

const Variable* VariableTable::find(Address address) const {
  auto found = index_.find(address.value);
  return found ? &variables_[*found] : nullptr;
}

const Variable* VariableTable::find_tls(uint64_t offset) const {
  auto found = tls_index_.find(offset);
  return found ? &tls_[*found] : nullptr;
}

}  // namespace heapwalk
