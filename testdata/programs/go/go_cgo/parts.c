#include "parts.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

extern void calledBack(void);

struct lost_block lost_blocks[LOST_BLOCKS];
static uintptr_t number_of_variable;
static void* volatile stray_of_variable;

struct unknown {
  char bytes[200];
};

struct session* open_session(int rows) {
  struct session* session = calloc(1, sizeof *session);
  for (int i = 0; i < rows; i++) {
    struct row* row = malloc(sizeof *row);
    row->next = session->rows;
    row->text = malloc(100);
    memset(row->text, 'a' + i % 26, 99);
    row->text[99] = 0;
    row->number = (uint64_t)i;
    session->rows = row;
    session->count++;
  }
  return session;
}

void close_session(struct session* session) {
  while (session->rows != NULL) {
    struct row* row = session->rows;
    session->rows = row->next;
    free(row->text);
    free(row);
  }
  free(session);
}

uintptr_t open_as_number(int rows) {
  return (uintptr_t)open_session(rows);
}
struct session* session_of(uintptr_t number) {
  return (struct session*)number;
}
void close_number(uintptr_t number) {
  close_session((struct session*)number);
}

struct unknown* open_unknown(void) {
  return calloc(1, sizeof(struct unknown));
}
void close_unknown(struct unknown* unknown) {
  free(unknown);
}

void set_page(struct session* session, uintptr_t page) {
  session->page = (void*)page;
}
void set_stray(struct session* session, uintptr_t stray) {
  session->stray = (void*)stray;
}
void keep_stray(uintptr_t stray) {
  stray_of_variable = (void*)stray;
}
void keep_number(uintptr_t handle) {
  number_of_variable = handle;
}

static uintptr_t block_of_thread;
static volatile int thread_waits;

static void* wait_forever(void* argument) {
  void* volatile block = malloc(5000);
  memset(block, 1, 5000);
  block_of_thread = ~(uintptr_t)block;  // not a pointer
  thread_waits = 1;
  for (;;) pause();
  return block != NULL ? argument : NULL;
}

void* start_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, wait_forever, NULL) != 0) return NULL;
  while (!thread_waits) usleep(1000);
  return (void*)~block_of_thread;
}

void wait_with(struct session* session) {
  for (;;) pause();
  close_session(session);
}

void call_back(void) {
  calledBack();
}

static void note(struct lost_block** next, const void* block, size_t bytes, const char* name) {
  **next = (struct lost_block){~(uintptr_t)block, bytes, name};
  ++*next;
}

static __attribute__((noinline)) void lose(void) {
  struct lost_block* next = lost_blocks;
  for (int i = 0; i < LOST_SESSIONS; i++) {
    struct session* session = open_session(LOST_ROWS);
    note(&next, session, sizeof *session, "session");
    for (struct row* row = session->rows; row != NULL; row = row->next) {
      note(&next, row, sizeof *row, "row");
      note(&next, row->text, 100, "text");
    }
  }
}

// What calls leave behind on the stack may be words of frames to come.
static __attribute__((noinline)) void wipe_stack(void) {
  volatile char frame[8192];
  for (size_t i = 0; i < sizeof frame; i++) frame[i] = 0;
}

void lose_sessions(void) {
  lose();
  wipe_stack();
}

void end_process(void) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigaction(SIGABRT, &action, NULL);
  abort();
}
