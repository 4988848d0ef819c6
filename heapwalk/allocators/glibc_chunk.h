// The words of a glibc chunk, and a window of target memory to read them through.
//
//        chunk ─► +0   prev_size   of the chunk before, valid only while that one is free (else: its last 8 user bytes)
//                 +8   size | NON_MAIN_ARENA 4 | IS_MMAPPED 2 | PREV_INUSE 1
//         user ─► +16  memory …    when free: fd +16, bk +24 (bins); next +16, key +24 (thread cache)
//
// Chunks tile a heap: the next one begins at chunk + size, and its PREV_INUSE bit says whether this one is in use.
// Source: glibc malloc/malloc.c 2.28 … 2.43, `struct malloc_chunk`. LP64 only, where the alignment is 16.
#pragma once

#include <cstdint>

#include "dump/address_space.h"
#include "dump/base/byte_reader.h"

namespace heapwalk::glibc {

constexpr uint64_t kPrevInUse = 1;
constexpr uint64_t kIsMmapped = 2;
constexpr uint64_t kNonMainArena = 4;
constexpr uint64_t kFlags = 7;
constexpr uint64_t kHeaderBytes = 16;  // from a chunk to its user memory
constexpr uint64_t kAlignment = 16;
constexpr uint64_t kFencepostBytes = 16;  // size of a fencepost chunk
constexpr uint64_t kMinimumChunk = 32;
constexpr uint64_t kPageBytes = 4096;  // the smallest page size: every other one is a multiple

constexpr uint64_t chunk_size(uint64_t size_word) {
  return size_word & ~kFlags;
}
// What malloc_usable_size says of a chunk that is not mmapped: the next chunk's prev_size belongs to it.
constexpr uint64_t usable_bytes(uint64_t size) {
  return size - 8;
}

// Bytes of the target that are all there, addressed by the target's addresses.
struct Window {
  uint64_t begin = 0;
  Bytes bytes;

  static Window of(const AddressSpace& memory, AddressRange range) {
    return {range.begin.value, memory.read(range.begin, range.size_bytes())};
  }
  uint64_t end() const { return begin + bytes.size(); }
  bool holds(uint64_t address, uint64_t size) const {
    return address >= begin && address - begin <= bytes.size() && size <= bytes.size() - (address - begin);
  }
  // The caller has checked that the word is inside.
  uint64_t word(uint64_t address) const { return load<uint64_t>(bytes.data() + (address - begin)); }
  uint64_t size_word(uint64_t chunk) const { return word(chunk + 8); }
};

// The pointer behind a link stored at `location`. Since 2.32 ("safe-linking") single-linked lists store
// pointer ^ (location >> 12).
constexpr uint64_t reveal(uint64_t stored, uint64_t location, bool mangled) {
  return mangled ? stored ^ (location >> 12) : stored;
}

}  // namespace heapwalk::glibc
