/* alloc_truth MODE [wait]: brings glibc's malloc into one particular state and dumps core there, by abort(), or with
   `wait` prints "ready" and sleeps so that a debugger can dump it. What is live is recorded by truth.c (LD_PRELOAD or
   wrapped). Every mode ends at a quiescent point: no other thread is inside malloc. Modes: the table at the end.
   Plain C and few library functions, so that one source links against any glibc from 2.28 on. */
#define _GNU_SOURCE
#include "truth.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kSlots = 6000, kThreads = 8, kShared = 4096 };

static void* slots[kSlots];   /* what the program holds, so that it is no leak */
static void* shared[kShared]; /* blocks that one thread allocates and another frees */
static void* keep[4096];
static size_t kept;
static int wait_for_debugger;
static int parked; /* threads that have come to rest */

static uint64_t next_random(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

/* Mostly small, some medium, a few that mmap serves. */
static size_t random_size(uint64_t* state) {
  uint64_t r = next_random(state) % 1000;
  if (r < 700) return 1 + next_random(state) % 256;
  if (r < 950) return 1 + next_random(state) % 4096;
  if (r < 998) return 1 + next_random(state) % 60000;
  return 1 + next_random(state) % 450560;
}

static void* touch(void* block, size_t size) {
  if (block != NULL && size > 0) memset(block, 0x5a, size < 64 ? size : 64);
  return block;
}

static void* hold(void* block) {
  if (kept < sizeof keep / sizeof *keep) keep[kept++] = block;
  return block;
}

static void* random_block(uint64_t* state) {
  size_t size = random_size(state);
  switch (next_random(state) % 8) {
    case 0:
      return calloc(1, size);
    case 1: {
      void* block = NULL;
      return posix_memalign(&block, 16u << (next_random(state) % 9), size) == 0 ? touch(block, size) : NULL;
    }
    case 2:
      return touch(aligned_alloc(64, (size + 63) & ~63ul), size);
    default:
      return touch(malloc(size), size);
  }
}

static void mix(void** slot, size_t slot_count, size_t operations, uint64_t seed) {
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (size_t i = 0; i < operations; ++i) {
    size_t k = next_random(&state) % slot_count;
    if (slot[k] != NULL && next_random(&state) % 4 == 0) {
      size_t size = random_size(&state);
      slot[k] = touch(realloc(slot[k], size), size);
    } else {
      free(slot[k]);
      slot[k] = random_block(&state);
    }
  }
}

static void finish(void) {
  if (wait_for_debugger) {
    if (write(1, "ready\n", 6) != 6) _exit(3);
    for (;;) pause();
  }
  abort();
}

/* Threads. */

struct worker {
  pthread_t thread;
  unsigned number;
  size_t operations;
  int park;
};

static void __attribute__((noreturn)) park(void) {
  __atomic_fetch_add(&parked, 1, __ATOMIC_ACQ_REL);
  for (;;) pause();
}

static void* work(void* argument) {
  struct worker* self = argument;
  uint64_t state = self->number * 7919 + 13;
  void** own = calloc(500, sizeof *own);
  mix(own, 500, self->operations, self->number + 100);
  for (size_t i = 0; i < self->operations; ++i) { /* free what another thread put there */
    void* block = random_block(&state);
    free(__atomic_exchange_n(&shared[next_random(&state) % kShared], block, __ATOMIC_ACQ_REL));
  }
  __atomic_store_n(&keep[1000 + self->number], own, __ATOMIC_RELEASE);
  if (self->park) park();
  return own;
}

static struct worker workers[64];

static void start(unsigned number, size_t operations, int park, void* (*body)(void*)) {
  workers[number] = (struct worker){.number = number, .operations = operations, .park = park};
  if (pthread_create(&workers[number].thread, NULL, body, &workers[number]) != 0) _exit(4);
}

static void await_parked(int count) {
  while (__atomic_load_n(&parked, __ATOMIC_ACQUIRE) < count) sched_yield();
}

static void mode_single(void) {
  mix(slots, kSlots, 60000, 1);
}

static void mode_threads(void) {
  for (unsigned i = 0; i < kThreads; ++i) start(i, 6000, i % 4 != 3, work);
  mix(slots, kSlots, 20000, 2);
  await_parked(kThreads - kThreads / 4);
  for (unsigned i = 3; i < kThreads; i += 4) pthread_join(workers[i].thread, NULL);
}

/* Every tcache and fastbin list as full as it gets; a few blocks stay between them. */
static void* fill_caches(void* argument) {
  struct worker* self = argument;
  enum { kPerSize = 40 };
  for (size_t size = 1032; size >= 24; size -= 16) { /* downwards: large requests empty the fastbins */
    void* block[kPerSize];
    for (int i = 0; i < kPerSize; ++i) block[i] = touch(malloc(size), size);
    for (int i = 0; i < kPerSize; ++i) {
      if (i % 13 != 5)
        free(block[i]);
      else if (self->number == 0)
        hold(block[i]);
    }
  }
  if (self->park) park();
  return NULL;
}

static void mode_caches(void) {
  for (unsigned i = 1; i < 4; ++i) start(i, 0, 1, fill_caches);
  await_parked(3);
  struct worker self = {.number = 0};
  fill_caches(&self);
}

static void mode_big(void) {
  void* block[120];
  for (int i = 0; i < 120; ++i) {
    size_t size = (size_t)(i % 37 + 1) * 131072 + (size_t)i * 4091;
    block[i] = hold(touch(malloc(size), size));
  }
  for (int i = 0; i < 120; i += 3) free(block[i]);
  for (int i = 1; i < 120; i += 3) hold(touch(realloc(block[i], (size_t)(i + 1) * 200000), 64)); /* mremap */
}

static void mode_churn(void) {
  void* list[200] = {0};
  size_t size[200] = {0};
  uint64_t state = 99;
  for (int round = 0; round < 20000; ++round) {
    size_t k = next_random(&state) % 200;
    size[k] = next_random(&state) % 5 == 0 ? next_random(&state) % 300000 : size[k] + size[k] / 2 + 1;
    if (size[k] > 3000000 || size[k] == 0) size[k] = 10;
    list[k] = touch(realloc(list[k], size[k]), size[k]);
  }
  for (int i = 0; i < 200; ++i) hold(list[i]);
}

/* The child of a threaded parent: the other threads are gone, their caches are not. */
static void mode_fork(void) {
  mode_threads();
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    mix(slots, kSlots, 5000, 3);
    finish();
  }
  int status = 0;
  waitpid(child, &status, 0);
  _exit(0);
}

static void mode_foreign_sbrk(void) {
  for (int i = 0; i < 6; ++i) {
    mix(slots, kSlots, 6000, 10 + (uint64_t)i);
    char* foreign = sbrk(1000 + i * 5000);
    if (foreign != (void*)-1) memset(foreign, 0x21, 1000); /* looks like chunk sizes, here and there */
  }
  mix(slots, kSlots, 6000, 20);
}

static void block_brk(void) {
  uintptr_t end = ((uintptr_t)sbrk(0) + 4095) & ~4095ul;
  mmap((void*)end, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

static void mode_blocked_brk(void) {
  mix(slots, kSlots, 3000, 30);
  block_brk();
  mix(slots, kSlots, 40000, 31);
}

static void mode_foreign_and_blocked(void) {
  mode_foreign_sbrk();
  block_brk();
  mix(slots, kSlots, 40000, 32);
}

static void mode_perturb(void) {
  mallopt(M_PERTURB, 0xa5);
  mode_single();
}

static void mode_tiny_mmap(void) {
  mallopt(M_MMAP_THRESHOLD, 16384);
  mode_single();
}

static void mode_memalign(void) {
  static const size_t sizes[] = {1, 24, 100, 1000, 5000, 70000, 140000, 300000, 5000000};
  for (size_t alignment = 16; alignment <= 4u << 20; alignment *= 2) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
      void* block = NULL;
      if (posix_memalign(&block, alignment, sizes[i]) == 0) hold(touch(block, sizes[i]));
      if (i % 2 == 0) hold(touch(malloc(sizes[i]), sizes[i]));
    }
  }
  hold(touch(valloc(10000), 10000));
  hold(touch(pvalloc(10000), 10000));
}

/* One thread's arena over more than three 64 MB heaps; the pages are mostly untouched. */
static void* fill_heaps(void* argument) {
  (void)argument;
  for (int i = 0; i < 3200; ++i) {
    void* block = touch(malloc(70000 + (size_t)i % 7 * 1000), 64);
    if (i % 5 == 0)
      free(block);
    else
      hold(block);
  }
  park();
}

static void mode_heaps(void) {
  start(0, 0, 1, fill_heaps);
  await_parked(1);
}

static void mode_dead_threads(void) {
  for (unsigned round = 0; round < 6; ++round) {
    for (unsigned i = 0; i < kThreads; ++i) start(i, 500, 0, work);
    for (unsigned i = 0; i < kThreads; ++i) pthread_join(workers[i].thread, NULL);
  }
}

static char* alternate_stack;

/* Runs on a stack that is a heap block, and writes below it: the block's own header is gone. */
static void overflow_handler(int signal_number) {
  (void)signal_number;
  truth_expect_lost(alternate_stack);
  memset(alternate_stack - 24, 0x41, 24);
  finish();
}

static void mode_signal_stack(void) {
  mix(slots, kSlots, 3000, 40);
  alternate_stack = hold(malloc(65536));
  stack_t stack = {.ss_sp = alternate_stack, .ss_size = 65536};
  sigaltstack(&stack, NULL);
  mix(slots, kSlots, 20000, 41);
  struct sigaction action = {.sa_handler = overflow_handler, .sa_flags = SA_ONSTACK};
  sigaction(SIGSEGV, &action, NULL);
  raise(SIGSEGV);
}

/* Overwrites the size word of a block in the middle of the heap with something plausible, and of another with noise. */
static void mode_corrupt(void) {
  mix(slots, kSlots, 20000, 50);
  char* plausible = hold(malloc(5000));
  void* fence = hold(malloc(100));
  mix(slots, kSlots, 3000, 51);
  char* noise = hold(malloc(777));
  hold(malloc(100));
  memset(plausible, 0xff, 5000);
  mix(slots, kSlots, 3000, 52);
  truth_expect_lost(plausible);
  truth_expect_lost(noise);
  (void)fence;
  *(uint64_t*)(void*)(plausible - 8) = 0x441;
  *(uint64_t*)(void*)(noise - 8) = 0x4141414141414141;
}

/* A thread cache whose list was overwritten by a use after free. */
static void mode_corrupt_tcache(void) {
  mix(slots, kSlots, 5000, 60);
  void* block[8];
  for (int i = 0; i < 8; ++i) block[i] = malloc(1000);
  for (int i = 0; i < 7; ++i) free(block[i]);
  volatile uint64_t* dangling = block[5];
  *dangling = 0x4242424242424242;
}

/* stdio objects that only glibc's own list still knows. */
static void mode_files(void) {
  for (int i = 0; i < 5; ++i) {
    FILE* lost = fopen("/dev/null", "w");
    if (lost != NULL && i == 0) hold(lost);
  }
  mix(slots, kSlots, 3000, 70);
}

static void mode_one(void) {
  hold(malloc(1));
}

static void mode_nothing(void) {}

static const struct {
  const char* name;
  void (*run)(void);
} modes[] = {
    {"single", mode_single},
    {"threads", mode_threads},
    {"caches", mode_caches},
    {"big", mode_big},
    {"churn", mode_churn},
    {"fork", mode_fork},
    {"foreign_sbrk", mode_foreign_sbrk},
    {"blocked_brk", mode_blocked_brk},
    {"foreign_and_blocked", mode_foreign_and_blocked},
    {"perturb", mode_perturb},
    {"tiny_mmap", mode_tiny_mmap},
    {"memalign", mode_memalign},
    {"heaps", mode_heaps},
    {"dead_threads", mode_dead_threads},
    {"signal_stack", mode_signal_stack},
    {"corrupt", mode_corrupt},
    {"corrupt_tcache", mode_corrupt_tcache},
    {"files", mode_files},
    {"one", mode_one},
    {"nothing", mode_nothing},
};

int main(int argc, char** argv) {
  wait_for_debugger = argc > 2 && strcmp(argv[2], "wait") == 0;
  for (size_t i = 0; i < sizeof modes / sizeof *modes; ++i) {
    if (argc > 1 && strcmp(argv[1], modes[i].name) == 0) {
      modes[i].run();
      finish();
    }
  }
  fprintf(stderr, "usage: alloc_truth MODE [wait]\n");
  return 2;
}
