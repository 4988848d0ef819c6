/* The truth that the glibc decoder is tested against: every live allocation of the process, written down as it happens.

   Built twice from this source:
     libtruth.so     LD_PRELOAD: defines malloc and friends, and calls glibc's through its __libc_* names, which every
                     version exports. No dlsym, so no recursion at start-up; only symbol versions that glibc 2.31 has too.
     truth_wrap.o    for static programs (compiled with -DTRUTH_WRAP, linked with -Wl,--wrap=malloc,…): the wrapped calls
                     include those inside libc.a, malloc.o's own excepted.

   The record is a hash table in an anonymous mapping of its own:

     page 0   struct header: magic, own address, slot count, counters
     page 1…  struct slot[slots]: ~address, requested, usable

   Addresses are stored complemented, so that no word of the table looks like a reference. Slots are claimed with
   compare-and-swap and never locked: a fork in the middle of another thread's malloc leaves the child's table usable.
   `in_flight` counts operations that have begun and not ended; a dump at a quiescent point has 0. */
#define _GNU_SOURCE
#include "truth.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#ifdef TRUTH_WRAP
#define INTERPOSED(name) __wrap_##name
#define GLIBC(name) __real_##name
#else
#define INTERPOSED(name) name
#define GLIBC(name) __libc_##name
#endif

void* GLIBC(malloc)(size_t size);
void* GLIBC(calloc)(size_t count, size_t size);
void* GLIBC(realloc)(void* old, size_t size);
void* GLIBC(memalign)(size_t alignment, size_t size);
void* GLIBC(valloc)(size_t size);
void* GLIBC(pvalloc)(size_t size);
void GLIBC(free)(void* address);

enum { kSlotBits = 20, kSlots = 1 << kSlotBits, kHeaderBytes = 4096, kLost = 8 };

struct header {
  char magic[16];
  uint64_t self;
  uint64_t slots;
  uint64_t in_flight;
  uint64_t unknown_frees; /* of blocks that were allocated before the recorder ran */
  uint64_t overflows;     /* allocations that found the table full */
  uint64_t lost_count;
  uint64_t lost[kLost]; /* complemented */
};

struct slot {
  uint64_t key; /* 0 never used, 1 removed, else ~address */
  uint64_t requested;
  uint64_t usable;
};

static struct header* the_table;

static struct header* table(void) {
  struct header* current = __atomic_load_n(&the_table, __ATOMIC_ACQUIRE);
  if (current != NULL) return current;
  int saved_errno = errno;
  struct header* fresh = mmap(NULL, kHeaderBytes + kSlots * sizeof(struct slot), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  errno = saved_errno;
  if (fresh == MAP_FAILED) __builtin_trap();
  fresh->slots = kSlots;
  fresh->self = (uint64_t)(uintptr_t)fresh;
  memcpy(fresh->magic, "heapwalk truth 1", 16);
  if (__atomic_compare_exchange_n(&the_table, &current, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return fresh;
  memset(fresh->magic, 0, sizeof fresh->magic); /* another thread was first */
  munmap(fresh, kHeaderBytes + kSlots * sizeof(struct slot));
  return current;
}

static struct slot* slot_at(struct header* t, uint64_t i) {
  return (struct slot*)((char*)t + kHeaderBytes) + (i & (kSlots - 1));
}

static uint64_t hash(uint64_t key) {
  return (key * 0x9e3779b97f4a7c15u) >> (64 - kSlotBits);
}

static void begin(void) {
  __atomic_fetch_add(&table()->in_flight, 1, __ATOMIC_RELAXED);
}
static void end(void) {
  __atomic_fetch_sub(&table()->in_flight, 1, __ATOMIC_RELEASE);
}

static void* insert(void* address, size_t requested) {
  if (address == NULL) return NULL;
  struct header* t = table();
  uint64_t key = ~(uint64_t)(uintptr_t)address;
  uint64_t h = hash(key);
  for (uint64_t i = 0; i < kSlots; ++i) {
    struct slot* s = slot_at(t, h + i);
    uint64_t seen = __atomic_load_n(&s->key, __ATOMIC_RELAXED);
    if (seen > 1) continue;
    if (!__atomic_compare_exchange_n(&s->key, &seen, key, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) continue;
    s->requested = requested;
    s->usable = malloc_usable_size(address);
    return address;
  }
  __atomic_fetch_add(&t->overflows, 1, __ATOMIC_RELAXED);
  return address;
}

/* Returns whether the address was known. */
static int erase(void* address) {
  struct header* t = table();
  uint64_t key = ~(uint64_t)(uintptr_t)address;
  uint64_t h = hash(key);
  for (uint64_t i = 0; i < kSlots; ++i) {
    struct slot* s = slot_at(t, h + i);
    uint64_t seen = __atomic_load_n(&s->key, __ATOMIC_RELAXED);
    if (seen == 0) break;
    if (seen != key) continue;
    __atomic_store_n(&s->key, 1, __ATOMIC_RELEASE);
    return 1;
  }
  __atomic_fetch_add(&t->unknown_frees, 1, __ATOMIC_RELAXED);
  return 0;
}

void* INTERPOSED(malloc)(size_t size) {
  begin();
  void* result = insert(GLIBC(malloc)(size), size);
  end();
  return result;
}

void* INTERPOSED(calloc)(size_t count, size_t size) {
  begin();
  void* result = insert(GLIBC(calloc)(count, size), count * size);
  end();
  return result;
}

void* INTERPOSED(realloc)(void* old, size_t size) {
  begin();
  if (old != NULL) erase(old);
  size_t usable = old != NULL ? malloc_usable_size(old) : 0;
  void* result = GLIBC(realloc)(old, size);
  if (result != NULL) {
    insert(result, size);
  } else if (old != NULL && size != 0) {
    insert(old, usable); /* it failed: the old block lives on */
  }
  end();
  return result;
}

void* INTERPOSED(reallocarray)(void* old, size_t count, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  return INTERPOSED(realloc)(old, bytes);
}

void INTERPOSED(free)(void* address) {
  if (address == NULL) return;
  begin();
  erase(address);
  GLIBC(free)(address);
  end();
}

void* INTERPOSED(memalign)(size_t alignment, size_t size) {
  begin();
  void* result = insert(GLIBC(memalign)(alignment, size), size);
  end();
  return result;
}

void* INTERPOSED(aligned_alloc)(size_t alignment, size_t size) {
  return INTERPOSED(memalign)(alignment, size);
}

int INTERPOSED(posix_memalign)(void** out, size_t alignment, size_t size) {
  if (alignment % sizeof(void*) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
  int saved_errno = errno;
  void* result = INTERPOSED(memalign)(alignment, size);
  errno = saved_errno;
  if (result == NULL) return ENOMEM;
  *out = result;
  return 0;
}

void* INTERPOSED(valloc)(size_t size) {
  begin();
  void* result = insert(GLIBC(valloc)(size), size);
  end();
  return result;
}

void* INTERPOSED(pvalloc)(size_t size) {
  begin();
  void* result = insert(GLIBC(pvalloc)(size), size);
  end();
  return result;
}

void truth_expect_lost(void* address) {
  struct header* t = table();
  if (t->lost_count < kLost) t->lost[t->lost_count++] = ~(uint64_t)(uintptr_t)address;
}
