// Decodes a core's glibc heap and compares it with the recorded truth.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/allocators/glibc.h"
#include "heapwalk/object_index.h"
#include "tests/support/truth.h"

namespace heapwalk {

struct DecodedHeap {
  std::unique_ptr<HeapDecoder> decoder;  // null: no glibc found
  ObjectIndex objects;
  std::vector<StateTotals> totals;  // per region of the decoder
  uint64_t dropped = 0;             // blocks that the sinks refused
  Diagnostics diagnostics;

  std::vector<Allocation> blocks(AllocationState state) const;  // by address
  uint64_t unexplained_bytes() const;
};

DecodedHeap decode_glibc(const CoreDump& dump, const GlibcOptions& options = {});

struct LiveSetDifference {
  size_t matched = 0;                // same address, same usable size
  std::vector<TruthRow> missing;     // live, not decoded as used
  std::vector<Allocation> extra;     // decoded as used, not live
  std::vector<TruthRow> wrong_size;  // decoded as used with another size
  bool exact() const { return missing.empty() && extra.empty() && wrong_size.empty(); }
  std::string text() const;  // the counts and the first few of each
};

LiveSetDifference compare(const Truth& truth, const DecodedHeap& heap);

// Empty when the accounting laws hold: no block dropped, and per region used + free + cached + top + metadata blocks +
// unexplained bytes fit the region, the rest being headers.
std::string accounting_violation(const DecodedHeap& heap);

}  // namespace heapwalk
