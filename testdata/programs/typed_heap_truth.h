/* What typed_heap.cc and typed_heap_c.c know about their own heap: for every live block its address, its usable size and the
   type of what lies in it.

     truth_add(p)                  a block was allocated
     truth_name(p, "Session", 0)   it holds a Session (or, with 1, an array of them); p may point into the block
     truth_remove(p)               it is going to be freed
     truth_write(path, spell)      rows `address <TAB> usable size <TAB> type`, arrays as "Session[]"

   The program checks itself: a block that nobody named, or that was named twice and differently, ends it with status 3.
   Addresses are stored complemented, so that the table refers to nothing; rows leave through write(2), so that writing them
   allocates nothing. Not locked: the programs let one thread run at a time. */
#pragma once

#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kTruthSlots = 1 << 18, kTruthMaxOffset = 4096, kTruthMaxName = 8192 };

struct truth_block {
  uintptr_t key; /* 0: never used; 1: removed; else ~address */
  size_t usable_bytes;
  const char* type;
  int is_array;
  int is_visited;
};
static struct truth_block truth_blocks[kTruthSlots];

static struct truth_block* truth_at(uintptr_t address) {
  size_t slot = (address >> 4) * 0x9e3779b97f4a7c15u >> 46;
  for (; truth_blocks[slot].key != 0; slot = (slot + 1) % kTruthSlots) {
    if (truth_blocks[slot].key == ~address) return &truth_blocks[slot];
  }
  return NULL;
}

/* The block that contains p, if it begins at most kTruthMaxOffset before. */
static struct truth_block* truth_find(const void* p) {
  uintptr_t address = (uintptr_t)p;
  for (uintptr_t at = address & ~(uintptr_t)15; address - at <= kTruthMaxOffset; at -= 16) {
    struct truth_block* block = truth_at(at);
    if (block != NULL) return address - at < block->usable_bytes ? block : NULL;
  }
  return NULL;
}

static void truth_fail(const char* what, const char* name, const char* other, size_t bytes) {
  fprintf(stderr, "typed_heap: %s: %s %s (%zu bytes)\n", what, name, other, bytes);
  _exit(3);
}

static void* truth_add(void* p) {
  if (p == NULL) truth_fail("out of memory", "", "", 0);
  size_t slot = ((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15u >> 46;
  while (truth_blocks[slot].key > 1) slot = (slot + 1) % kTruthSlots;
  truth_blocks[slot].key = ~(uintptr_t)p;
  truth_blocks[slot].usable_bytes = malloc_usable_size(p);
  truth_blocks[slot].type = NULL;
  truth_blocks[slot].is_visited = 0;
  return p;
}

static void truth_remove(const void* p) {
  struct truth_block* block = truth_at((uintptr_t)p);
  if (block != NULL) block->key = 1;
}

/* `type` must outlive the program. */
static void truth_name(const void* p, const char* type, int is_array) {
  struct truth_block* block = truth_find(p);
  if (block == NULL) truth_fail("no such block", type, "", 0);
  if (block->type != NULL) {
    if (strcmp(block->type, type) != 0) truth_fail("named twice", block->type, type, block->usable_bytes);
    return;
  }
  block->type = type;
  block->is_array = is_array;
}

/* For walks that may come to a block on several ways. */
static inline int truth_first_visit(const void* p) {
  struct truth_block* block = truth_find(p);
  if (block == NULL || block->is_visited) return 0;
  return block->is_visited = 1;
}

/* `spell` turns a type's name into what people write, in a buffer of its own. */
static void truth_write(const char* path, const char* (*spell)(const char* type)) {
  static char row[kTruthMaxName + 100];
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0) truth_fail("cannot write", path, "", 0);
  for (size_t slot = 0; slot < kTruthSlots; ++slot) {
    const struct truth_block* block = &truth_blocks[slot];
    if (block->key <= 1) continue;
    if (block->type == NULL) truth_fail("a block that nobody named", "", "", block->usable_bytes);
    int length = snprintf(row, sizeof row, "0x%zx\t%zu\t%s%s\n", (size_t)~block->key, block->usable_bytes,
                          spell(block->type), block->is_array ? "[]" : "");
    if (length < 0 || (size_t)length >= sizeof row || write(file, row, (size_t)length) != length) {
      truth_fail("cannot write", path, block->type, 0);
    }
  }
  close(file);
}
