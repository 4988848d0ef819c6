#include "heapwalk/allocators/glibc_survey.h"

#include <fmt/format.h>

#include <array>

#include "heapwalk/allocators/glibc_tcache.h"

namespace heapwalk::glibc {
namespace {

constexpr uint64_t kLongChain = 256;  // steps that no accident takes, given a footer that agrees
constexpr uint64_t kShortChain = 16;  // enough where the bytes end
constexpr size_t kMaxThreadCaches = 1 << 16;
constexpr uint64_t kMaxBreaks = 4096;  // per stretch; beyond, the rest is unexplained

}  // namespace

// Fenceposts close a heap that got a successor. Main arena: two chunks of size 16, the first possibly marked "previous
// is free". Thread arena: one of size 16, then one of size 0 in the last 16 bytes; the first may be missing.
Survey::Advance Survey::end_marker(uint64_t chunk, uint64_t size_word) const {
  uint64_t size = chunk_size(size_word);
  if (rules_.is_main) {
    uint64_t end = chunk;
    while (window_.holds(end, kHeaderBytes) && chunk_size(window_.size_word(end)) == kFencepostBytes &&
           (end == chunk || window_.size_word(end) == (kFencepostBytes | kPrevInUse)) && end - chunk < 64) {
      end += kFencepostBytes;
    }
    if (end - chunk >= 2 * kFencepostBytes) return {Step::end, end};
    return {};
  }
  if (size == 0 && chunk + kHeaderBytes == rules_.limit) return {Step::end, rules_.limit};
  if (size == kFencepostBytes && window_.holds(chunk + kFencepostBytes, kHeaderBytes) &&
      chunk + 2 * kFencepostBytes == rules_.limit && chunk_size(window_.size_word(chunk + kFencepostBytes)) == 0) {
    return {Step::end, rules_.limit};
  }
  return {};
}

Survey::Advance Survey::advance(uint64_t chunk) const {
  if (!window_.holds(chunk, kHeaderBytes)) return {};
  uint64_t size_word = window_.size_word(chunk);
  uint64_t size = chunk_size(size_word);
  if (chunk == rules_.top) {  // its size may be damaged; that it is the last chunk is known
    bool possible = size % kAlignment == 0 && size >= kFencepostBytes && size <= rules_.limit - chunk;
    return {Step::end, possible ? chunk + size : rules_.limit};
  }
  if ((size_word & kIsMmapped) != 0 || size % kAlignment != 0) return {};
  if (rules_.is_main && (size_word & kNonMainArena) != 0) return {};
  if (size < kMinimumChunk) return end_marker(chunk, size_word);
  if (size > rules_.limit - chunk) return {};
  uint64_t next = chunk + size;
  if (next == rules_.limit && rules_.top == 0) return {Step::end, next};  // the top chunk, as far as one can tell
  if (!window_.holds(next, kHeaderBytes)) {
    // A truncated core ends in the middle of the heap; the whole heap's end is no place for a chunk to end.
    bool truncated = window_.end() < rules_.limit && next <= rules_.limit - kHeaderBytes;
    return truncated ? Advance{Step::lost, next} : Advance{};
  }
  bool is_free = (window_.size_word(next) & kPrevInUse) == 0;
  if (is_free && window_.word(next) != size) return {};
  return {Step::next, next, is_free};
}

bool Survey::failed_before(uint64_t chunk) const {
  uint64_t bit = (chunk - window_.begin) / kAlignment;
  return !failed_.empty() && (failed_[bit / 64] >> (bit % 64) & 1) != 0;
}

void Survey::mark_failed(uint64_t chunk) {
  if (failed_.empty()) failed_.resize(window_.bytes.size() / kAlignment / 64 + 1);
  uint64_t bit = (chunk - window_.begin) / kAlignment;
  failed_[bit / 64] |= uint64_t{1} << (bit % 64);
}

bool Survey::leads(uint64_t chunk, uint64_t least_steps) {
  uint64_t steps = 0;
  bool footer_agrees = false;
  for (uint64_t at = chunk; !failed_before(at);) {
    Advance advance = this->advance(at);
    footer_agrees |= advance.footer_agrees;
    ++steps;
    bool holds = steps >= kLongChain || (advance.step == Step::lost && steps >= kShortChain);
    if ((advance.step == Step::end && steps >= least_steps) || (holds && footer_agrees)) return true;
    mark_failed(at);
    if (advance.step != Step::next) return false;
    at = advance.next;
  }
  return false;
}

std::optional<uint64_t> Survey::find_chain(uint64_t begin, uint64_t end) {
  for (uint64_t chunk = begin; chunk < end && window_.holds(chunk, kHeaderBytes); chunk += kAlignment) {
    uint64_t size_word = window_.size_word(chunk);
    if (chunk_size(size_word) < kMinimumChunk || size_word > rules_.limit) continue;
    if (leads(chunk)) return chunk;
  }
  return std::nullopt;
}

void Survey::note(uint64_t chunk, uint64_t size) {
  if (!TcacheShape::is_chunk_size(size) || thread_caches_.size() >= kMaxThreadCaches) return;
  if (looks_like_filled_tcache(window_, chunk)) thread_caches_.push_back(chunk + kHeaderBytes);
}

Stretch Survey::follow(uint64_t begin, Diagnostics& diagnostics) {
  Stretch stretch;
  stretch.begin = stretch.end = begin;
  uint64_t run_begin = begin;
  uint64_t before = begin;  // the chunk whose size led here
  uint64_t next_split = begin + kSplitBytes;
  for (uint64_t chunk = begin;;) {
    Advance advance = this->advance(chunk);
    if (advance.step == Step::next) [[likely]] {
      free_chunks_ += advance.footer_agrees;
      note(chunk, advance.next - chunk);
      if (chunk >= next_split) {
        stretch.splits.push_back(chunk);
        next_split = chunk + kSplitBytes;
      }
      before = chunk;
      chunk = advance.next;
      continue;
    }
    if (advance.step != Step::broken) {
      stretch.runs.push_back({run_begin, advance.next});
      stretch.end = advance.next;
      stretch.reached_end = advance.step == Step::end;
      return stretch;
    }
    uint64_t size_word = window_.holds(chunk, kHeaderBytes) ? window_.size_word(chunk) : 0;
    diagnostics.add("corrupt_chunk",
                    fmt::format("{}: chunk at {:#x} (size word {:#x}) leads nowhere; the chunk before it is at {:#x}",
                                rules_.what, chunk, size_word, before));
    std::optional<uint64_t> again;
    if (stretch.runs.size() < kMaxBreaks) again = find_chain(before + kAlignment, rules_.limit);
    // A chain that begins inside the chunk before shows that its size is what is wrong.
    uint64_t run_end = again && *again < chunk ? before : chunk;
    if (run_end > run_begin) stretch.runs.push_back({run_begin, run_end});
    if (!again) {
      stretch.end = rules_.limit;
      return stretch;
    }
    run_begin = before = chunk = *again;
  }
}

}  // namespace heapwalk::glibc
