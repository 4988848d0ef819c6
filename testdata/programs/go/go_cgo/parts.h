// The half in C of this program.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct row {
  struct row* next;
  char* text;
  uint64_t number;
};

struct session {
  struct row* rows;
  uintptr_t handle;
  void* page;
  void* stray;
  size_t count;
};

struct unknown;  // 200 bytes

struct lost_block {
  uintptr_t complement;
  size_t bytes;
  const char* name;
};

enum { LOST_SESSIONS = 20, LOST_ROWS = 10, LOST_BLOCKS = LOST_SESSIONS * (1 + 2 * LOST_ROWS) };
extern struct lost_block lost_blocks[LOST_BLOCKS];

struct session* open_session(int rows);
void close_session(struct session* session);
uintptr_t open_as_number(int rows);
struct session* session_of(uintptr_t number);
void close_number(uintptr_t number);
struct unknown* open_unknown(void);
void close_unknown(struct unknown* unknown);

void set_page(struct session* session, uintptr_t page);
void set_stray(struct session* session, uintptr_t stray);
void keep_stray(uintptr_t stray);    // in a variable
void keep_number(uintptr_t handle);  // in a variable

void* start_thread(void);  // that has a block of 5000 bytes
void wait_with(struct session* session);
void call_back(void);
void lose_sessions(void);
void end_process(void);
