// Follows chunk chains, once, and says where they hold.
//
// A heap is trusted chunk by chunk: sizes and flags must be possible, a free chunk's footer must repeat its size, and
// the chain must *end* where the arena says (top, a fencepost, the end of the heap). Where a chunk fails that, the
// survey looks for the next address from which a chain runs to such an end (or for long enough), reports the corrupt
// chunk and leaves the bytes between as a gap:
//
//     begin ├────── run ──────┤ gap ├───────────── run ─────────────┤ end        one stretch
//                             ▲     └ resynchronised: this chain reaches the end
//                             └ corrupt chunk (diagnostic)
//
// The search marks every position it has seen fail, so that it is linear in the bytes searched whatever they hold. The
// walk that later labels the chunks needs no checks of its own: it visits runs only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dump/base/diagnostics.h"
#include "heapwalk/allocators/glibc_chunk.h"

namespace heapwalk::glibc {

struct ChunkRun {  // chunks tile [begin, end)
  uint64_t begin = 0;
  uint64_t end = 0;
};

struct Stretch {  // memory of one arena without foreign bytes inside
  uint64_t begin = 0;
  uint64_t end = 0;  // of the last chunk, or of the bytes that had to be given up
  std::vector<ChunkRun> runs;
  std::vector<uint64_t> splits;  // chunks at which the stretch may be divided for several workers
  bool reached_end = false;
};

struct SurveyRules {
  bool is_main = true;
  uint64_t top = 0;    // the arena's top chunk; 0 unknown
  uint64_t limit = 0;  // where the memory ends (the bytes of a truncated core may end before)
  std::string what;    // "main arena", for messages
};

constexpr uint64_t kSplitBytes = uint64_t{64} << 20;

class Survey {
 public:
  Survey(Window window, SurveyRules rules) : window_(window), rules_(std::move(rules)) {}

  // The stretch that begins with a chunk at `begin`: up to its top, fenceposts or the limit.
  Stretch follow(uint64_t begin, Diagnostics& diagnostics);
  // The first chunk at begin + n·16, below `end`, whose chain holds.
  std::optional<uint64_t> find_chain(uint64_t begin, uint64_t end);
  // Whether a chain from here reaches an end after at least so many steps, or holds for long.
  bool leads(uint64_t chunk, uint64_t least_steps = 1);

  // Chunks that look like thread caches with entries: a thread may be gone and its cache not.
  const std::vector<uint64_t>& thread_caches() const { return thread_caches_; }
  uint64_t free_chunks() const { return free_chunks_; }

 private:
  enum class Step : uint8_t { next, end, lost, broken };  // lost: beyond what a truncated core kept
  struct Advance {
    Step step = Step::broken;
    uint64_t next = 0;
    bool footer_agrees = false;  // a free chunk, whose size stands in memory twice
  };
  Advance advance(uint64_t chunk) const;
  Advance end_marker(uint64_t chunk, uint64_t size_word) const;
  bool failed_before(uint64_t chunk) const;
  void mark_failed(uint64_t chunk);
  void note(uint64_t chunk, uint64_t size);

  Window window_;
  SurveyRules rules_;
  std::vector<uint64_t> failed_;  // one bit per 16 bytes of the window, made when first needed
  std::vector<uint64_t> thread_caches_;
  uint64_t free_chunks_ = 0;
};

}  // namespace heapwalk::glibc
