// Chunks that have a mapping of their own, and what malloc's parameters say about them.
//
//     base ─► [ prev_size 0 | size|2 | user … ]                  prev_size + size (+16 since 2.43) = mapping bytes
//     base ─► [ stale header │ … │ prev_size = distance │ size|2 | user … ]      after memalign
//
// Anonymous mappings merge, so a chunk may begin at any page of one. memalign moves the header up and leaves the old one
// standing: believed alone it is a phantom chunk, so for every base the aligned positions behind it are tried first.
// Source: glibc malloc/malloc.c 2.31 … 2.43, sysmalloc_mmap, _int_memalign; struct malloc_par.
#pragma once

#include <cstdint>
#include <optional>

#include "dump/core_dump.h"
#include "heapwalk/allocators/glibc_arena.h"
#include "heapwalk/allocators/glibc_chunk.h"

namespace heapwalk::glibc {

struct MmappedChunk {
  uint64_t base = 0;  // of the mapping
  uint64_t mapping_bytes = 0;
  uint64_t user = 0;
  uint64_t usable_bytes = 0;
};

// The mmapped chunk whose mapping begins at `page`, if one does; `limit` is the end of the anonymous memory.
std::optional<MmappedChunk> mmapped_chunk_at(const Window& window, uint64_t page, uint64_t limit);

// struct malloc_par of an instance, as far as it is used here.
struct MallocParameters {
  AddressRange range;
  uint64_t sbrk_base = 0;
  uint64_t mmapped_chunks = 0;
  uint64_t mmapped_bytes = 0;
};

// By the symbol mp_, else by its invariants within the module's data.
std::optional<MallocParameters> find_parameters(const CoreDump& dump, const Instance& instance, bool use_symbols);

}  // namespace heapwalk::glibc
