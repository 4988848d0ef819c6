// What was lost without stopping the analysis.
//
// Every reader that skips, repairs or gives up on part of its input says so here; every report prints the list. An
// entry has a stable snake_case code for scripts ("truncated_core", "corrupt_chunk"), a text for people, and a count,
// so that a million corrupt chunks are one line and not a million. Not thread-safe: a parallel worker fills its own
// Diagnostics and the owner merges them in index order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heapwalk {

struct Diagnostic {
  std::string code;
  std::string text;  // of the first occurrence; addresses are written 0x…
  uint64_t count = 0;
};

class Diagnostics {
 public:
  // Entries with the same code and text are one entry. A code keeps at most `kTextsPerCode` texts; what comes after
  // is counted on the code's last entry, so hostile input cannot grow the list without bound.
  static constexpr size_t kTextsPerCode = 8;

  void add(std::string_view code, std::string text, uint64_t count = 1);
  void merge(const Diagnostics& other);

  std::span<const Diagnostic> all() const { return entries_; }
  uint64_t count(std::string_view code) const;

 private:
  std::vector<Diagnostic> entries_;  // in order of first occurrence
};

}  // namespace heapwalk
