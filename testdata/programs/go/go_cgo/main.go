// A program half in C: its two heaps refer to each other.
//
//	main.session ─► session (C) ─► row (C) ─► row (C) …      Go to C: a pointer in a Go structure
//	                   ├─► handle ─► cgo.Handle's table ─► payload (Go)
//	                   └─► pinned page (Go), which only C refers to, and the pinner keeps
//	a thread made by C ─► its local ─► block (C);             and blocks that nobody has any more, on both sides
//
// Writes planted.tsv, heap.dump and memstats.json as go_heap does; fates of C's blocks are "c live" and "c leaked".
// Arguments: end=abort (default) or end=none, as in go_heap.
package main

/*
#cgo CFLAGS: -O1 -g
#cgo LDFLAGS: -pthread
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>

struct row {
  struct row *next;
  char *text;
  uint64_t number;
};

struct session {
  struct row *rows;
  uintptr_t handle;
  void *page;
  size_t count;
};

static struct session *open_session(int rows) {
  struct session *session = calloc(1, sizeof *session);
  for (int i = 0; i < rows; i++) {
    struct row *row = malloc(sizeof *row);
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

static uintptr_t block_of_thread;
static volatile int thread_waits;

static void *wait_forever(void *argument) {
  void *volatile block = malloc(5000);
  memset(block, 1, 5000);
  block_of_thread = ~(uintptr_t)block;  // not a pointer
  thread_waits = 1;
  for (;;) pause();
  return block != NULL ? argument : NULL;
}

static void *start_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, wait_forever, NULL) != 0) return NULL;
  while (!thread_waits) usleep(1000);
  return (void *)~block_of_thread;
}

static void set_page(struct session *session, uintptr_t page) { session->page = (void *)page; }

static void end_process(void) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigaction(SIGABRT, &action, NULL);
  abort();
}
*/
import "C"

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/cgo"
	"runtime/debug"
	"time"
	"unsafe"
)

type payload struct {
	name    string
	numbers []uint64
}

type page struct {
	owner *payload
	bytes [4096]byte
}

type handler struct {
	session *C.struct_session
	opened  time.Time
}

type planted struct {
	address, bytes     uintptr
	fate, name, holder string
}

var (
	session = &handler{}
	pinner  runtime.Pinner
	objects []planted
	sink    any
)

func plant(address unsafe.Pointer, bytes uintptr, fate, name, holder string) {
	objects = append(objects, planted{uintptr(address), bytes, fate, name, holder})
}

func open() {
	c := C.open_session(1000)
	session.session, session.opened = c, time.Now()
	plant(unsafe.Pointer(c), unsafe.Sizeof(*c), "c live", "session", "session")
	plant(unsafe.Pointer(c.rows.next.next), unsafe.Sizeof(*c.rows), "c live", "row", "session")
	plant(unsafe.Pointer(c.rows.next.text), 100, "c live", "text", "session")

	behind := &payload{name: "behind a handle", numbers: make([]uint64, 100)}
	plant(unsafe.Pointer(&behind.numbers[0]), 800, "live", "payload.numbers", "cgo handle")
	c.handle = C.uintptr_t(cgo.NewHandle(behind))

	pinned := &page{owner: &payload{name: "of a page"}}
	plant(unsafe.Pointer(pinned), unsafe.Sizeof(*pinned), "live", "page", "pinner")
	plant(unsafe.Pointer(pinned.owner), unsafe.Sizeof(*pinned.owner), "live", "page.owner", "pinner")
	pinner.Pin(pinned)
	C.set_page(c, C.uintptr_t(uintptr(unsafe.Pointer(pinned))))

	plant(C.start_thread(), 5000, "c live", "block", "local of a thread of C")
	lost := C.open_session(10)
	plant(unsafe.Pointer(lost), unsafe.Sizeof(*lost), "c leaked", "session", "")
	plant(unsafe.Pointer(lost.rows.next), unsafe.Sizeof(*lost.rows), "c leaked", "row", "")
}

func drop() {
	for i := 0; i < 10; i++ {
		garbage := &page{owner: &payload{name: fmt.Sprint(i)}}
		sink = garbage
		plant(unsafe.Pointer(garbage), unsafe.Sizeof(*garbage), "garbage", "page", "")
		plant(unsafe.Pointer(garbage.owner), unsafe.Sizeof(*garbage.owner), "garbage", "page.owner", "")
	}
	sink = nil
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	done := make(chan bool)
	go func() { open(); close(done) }() // no address stays on the stack of main
	<-done
	debug.SetGCPercent(-1)
	runtime.GC()
	done = make(chan bool)
	go func() { drop(); close(done) }()
	<-done

	list, err := os.Create("planted.tsv")
	check(err)
	for _, object := range objects {
		fmt.Fprintf(list, "%d\t%d\t%s\t%s\t%s\n", object.address, object.bytes, object.fate, object.name, object.holder)
	}
	check(list.Close())
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	text, err := json.Marshal(&stats)
	check(err)
	check(os.WriteFile("memstats.json", text, 0o644))
	dump, err := os.Create("heap.dump") // the exact truth: memstats.json is of a moment before
	check(err)
	fd := dump.Fd()
	debug.WriteHeapDump(fd)
	if len(os.Args) < 2 || os.Args[1] != "end=none" {
		C.end_process()
	}
}
