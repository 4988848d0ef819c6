// Thread caches and fastbins: the chunks that are marked in use and yet are not.
//
// Each thread that has used malloc owns a tcache_perthread_struct, itself a heap chunk, reached through a thread-local
// pointer. Its shape shows in its chunk size:
//
//     0x250 (2.26–2.29)  u8  counts[64], entries[64]            count up
//     0x290 (2.30–2.41)  u16 counts[64], entries[64]            count up
//     0x300 (2.42–)      u16 num_slots[76], entries[76]         count down from a fill limit
//
// entries[i] is the user address of the first cached chunk of size 0x20 + 0x10·i (i < 64); links are at user+0, mangled
// since 2.32; user+8 holds a key since 2.29. Neither TLS layout nor symbols are needed to find the pointer: it is next
// to `thread_arena` (both are malloc.c's thread-locals), which holds the address of a known arena; the distance from the
// thread pointer is the same in every thread. A thread that is gone (after fork) leaves its cache behind: those are
// found in the heap by their own consistency.
// Source: glibc malloc/malloc.c 2.28, 2.31, 2.36, 2.41, 2.42, 2.43.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/allocators/glibc_arena.h"
#include "heapwalk/allocators/glibc_chunk.h"

namespace heapwalk::glibc {

struct TcacheShape {
  static constexpr uint64_t kSlack = 0x10;
  uint32_t bins = 0;
  uint32_t count_bytes = 0;
  bool counts_down = false;

  uint64_t entries_offset() const { return uint64_t{bins} * count_bytes; }
  uint64_t bytes() const { return entries_offset() + uint64_t{bins} * 8; }
  // A chunk may be 16 bytes larger than asked for: what a split would have left is no chunk of its own.
  static bool is_chunk_size(uint64_t size) {
    return size - 0x250 <= kSlack || size - 0x290 <= kSlack || size - 0x300 <= kSlack;
  }
  static std::optional<TcacheShape> of_chunk(uint64_t size);
};

// Whether the chunk could be a thread cache with at least one entry: counts and entries agree on which bins have any.
bool looks_like_filled_tcache(const Window& window, uint64_t chunk);

struct CachedChunks {
  std::vector<uint64_t> chunks;   // user addresses, sorted, distinct
  std::vector<uint64_t> structs;  // user addresses of the tcache structs themselves, sorted
  std::optional<bool> mangled;    // whether links are; unknown while every list is empty
  std::vector<uint64_t> keys;  // what cached chunks have at user+8: one value since 2.34, one per thread in 2.29–2.33
  bool lists_broken = false;   // some members were not reached: the key decides about those
  std::optional<TcacheShape> shape;
  bool unknown_shape = false;  // a thread points to what may be a cache of a shape not known here
};

// `orphans`: user addresses of chunks that look like caches (Survey::thread_caches), to be proven here.
CachedChunks find_cached_chunks(const CoreDump& dump, const std::vector<Instance>& instances,
                                const std::vector<uint64_t>& orphans, Diagnostics& diagnostics);

}  // namespace heapwalk::glibc
