// "Which of these things covers this address?", when they nest and overlap.
//
// Symbols and variables do: a local label inside a hand-written function, an alias shorter than its target. The one that
// begins last wins, and of several that begin together the first in their order. One sweep flattens them into disjoint
// spans, each naming its winner, so that a question is one binary search whatever the things look like:
//
//     outer   [----------------------)             spans:  outer | inner | outer | none
//     inner          [------)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace heapwalk {

struct Interval {
  uint64_t begin = 0;
  uint64_t size = 0;  // 0 covers its own address only
};

class IntervalIndex {
 public:
  IntervalIndex() = default;
  // `sorted` by begin; where several begin together, the preferred one first. Fewer than 2^32 - 1 of them.
  explicit IntervalIndex(std::span<const Interval> sorted);

  // The position in `sorted` of the winner.
  std::optional<uint32_t> find(uint64_t address) const;

  // Spans are sorted and lie inside what they name.
  bool check(std::span<const Interval> sorted) const;

 private:
  struct Span {  // up to the next span's begin
    uint64_t begin = 0;
    uint32_t winner = 0;  // or kNone
  };
  static constexpr uint32_t kNone = 0xffffffff;
  void emit(uint64_t begin, uint32_t winner);

  std::vector<Span> spans_;
};

}  // namespace heapwalk
