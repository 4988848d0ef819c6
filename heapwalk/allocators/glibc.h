// glibc's malloc (ptmalloc), 2.28 to the newest: regions and blocks of every arena.
//
//     libc data ── main_arena ─► ring of arenas ─► heaps ─► chunk chains ─► used | free | top
//     TLS ──────── tcache ─────► lists ──────────────────────────────────► cached
//     arenas ───── fastbins ───► lists ──────────────────────────────────► cached
//     anonymous memory ────────► mmapped chunks ─────────────────────────► used
//
// Parts: glibc_arena (finding malloc_state), glibc_heaps and glibc_mmapped (what memory is malloc's), glibc_survey (where
// chunk chains hold), glibc_tcache (which chunks are only cached), glibc_private (what are no references). This file
// joins them and walks. Everything goes by features; symbols are hints. With libc's data missing from the core
// the heap is still walked by its chains, loudly: fastbins and thread caches are then unknown and their chunks look used.
#pragma once

#include <memory>
#include <span>

#include "heapwalk/allocators/allocator.h"

namespace heapwalk {

struct GlibcOptions {
  bool use_symbols = true;                   // false: as if libc were stripped and no debug file at hand
  std::span<const AddressRange> taken = {};  // DetectAllocator's
};

std::unique_ptr<HeapDecoder> detect_glibc(const CoreDump& dump, const GlibcOptions& options, Diagnostics& diagnostics);

}  // namespace heapwalk
