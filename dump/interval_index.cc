#include "dump/interval_index.h"

#include <algorithm>
#include <iterator>

namespace heapwalk {
namespace {

uint64_t end_of(const Interval& interval) {
  uint64_t end = interval.begin + std::max<uint64_t>(interval.size, 1);
  return end < interval.begin ? UINT64_MAX : end;
}

}  // namespace

void IntervalIndex::emit(uint64_t begin, uint32_t winner) {
  if (!spans_.empty() && spans_.back().begin == begin) spans_.pop_back();
  if (spans_.empty() || spans_.back().winner != winner) spans_.push_back({begin, winner});
}

// The sweep keeps a stack of what covers the current address, the winner on top. What ends below a later one is dropped
// when it comes up.
IntervalIndex::IntervalIndex(std::span<const Interval> sorted) {
  spans_.reserve(sorted.size() + sorted.size() / 4 + 1);
  std::vector<uint32_t> open;
  auto close_until = [&](uint64_t address) {
    while (!open.empty() && end_of(sorted[open.back()]) <= address) {
      uint64_t end = end_of(sorted[open.back()]);
      open.pop_back();
      while (!open.empty() && end_of(sorted[open.back()]) <= end) open.pop_back();
      emit(end, open.empty() ? kNone : open.back());
    }
  };
  for (size_t first = 0; first < sorted.size();) {
    uint64_t begin = sorted[first].begin;
    close_until(begin);
    // Of those that begin here the first wins; a further one shows where it reaches past all before it.
    uint64_t reach = begin;
    auto open_before = static_cast<ptrdiff_t>(open.size());
    size_t next = first;
    for (; next < sorted.size() && sorted[next].begin == begin; ++next) {
      if (end_of(sorted[next]) <= reach) continue;
      reach = end_of(sorted[next]);
      open.push_back(static_cast<uint32_t>(next));
    }
    std::reverse(open.begin() + open_before, open.end());
    if (!open.empty()) emit(begin, open.back());
    first = next;
  }
  close_until(UINT64_MAX);
  spans_.shrink_to_fit();
}

std::optional<uint32_t> IntervalIndex::find(uint64_t address) const {
  auto after = std::ranges::upper_bound(spans_, address, {}, &Span::begin);
  if (after == spans_.begin() || std::prev(after)->winner == kNone) return std::nullopt;
  return std::prev(after)->winner;
}

bool IntervalIndex::check(std::span<const Interval> sorted) const {
  for (size_t i = 0; i < spans_.size(); ++i) {
    if (i > 0 && spans_[i - 1].begin >= spans_[i].begin) return false;
    if (spans_[i].winner == kNone) continue;
    if (spans_[i].winner >= sorted.size()) return false;
    const Interval& winner = sorted[spans_[i].winner];
    uint64_t span_end = i + 1 < spans_.size() ? spans_[i + 1].begin : UINT64_MAX;
    if (spans_[i].begin < winner.begin || span_end > end_of(winner)) return false;
  }
  return true;
}

}  // namespace heapwalk
