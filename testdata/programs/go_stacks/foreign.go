//go:build foreign

// With -tags foreign: goroutines that are in C, and C that is in Go.

package main

/*
#cgo LDFLAGS: -lpthread
#include <pthread.h>
#include <unistd.h>

extern void goBlocks(int depth);
extern void goIsCalledByThread(void);

static void stays(void) { for (;;) pause(); }
static int spins(volatile int* stop) { int n = 0; while (!*stop) n++; return n; }
static void callsGo(int depth) { goBlocks(depth); }
static void* threadMain(void* unused) { goIsCalledByThread(); return unused; }
static void startThread(void) { pthread_t thread; pthread_create(&thread, 0, threadMain, 0); }
*/
import "C"

var stopForeign C.int

//export goBlocks
func goBlocks(depth C.int) {
	p := plant("in_callback")
	if depth > 0 { // C, Go, C, Go …
		C.callsGo(depth - 1)
	} else {
		block()
	}
	use(p)
}

//export goIsCalledByThread
func goIsCalledByThread() {
	p := plant("in_foreign_thread")
	block()
	use(p)
}

func startForeign() {
	start(func() {
		p := plant("in_c")
		started <- true
		C.stays()
		use(p)
	})
	start(func() {
		p := plant("in_c_spinning")
		started <- true
		C.spins(&stopForeign)
		use(p)
	})
	start(func() { C.callsGo(2) })
	C.startThread()
	<-started
}
