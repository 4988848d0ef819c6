// A program half in C: its two heaps refer to each other.
//
//	main.session, a map, a variable, a local ─► session (C) ─► row (C) ─► row (C) …    Go to C: typed pointers
//	a local that is only a number ────────────► session (C)                           and what Go does not call pointer
//	session (C) ─┬─► number of a cgo.Handle: runtime/cgo.handles ─► payload (Go)       C to Go, as Go wants it
//	             ├─► page (Go), which the pinner keeps
//	             └─► stray (Go), which nobody keeps: the next collection frees it     and as Go forbids it
//	a thread made by C ─► its local ─► block (C)
//	goroutines inside C, and inside Go that C called, with locals of their own
//	blocks that nobody has any more, on both sides
//
// Writes planted.tsv, heap.dump and memstats.json as go_heap does; fates of C's blocks are "c live" and "c leaked", and
// "stray" is a Go object that only a word of C's leads to. The list of all these keeps no address as it is: a number may
// be a pointer of C's.
// Arguments: end=abort (default) or end=none, as in go_heap.
package main

/*
#cgo CFLAGS: -O1 -g
#cgo LDFLAGS: -pthread
#include "parts.h"
*/
import "C"

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/cgo"
	"runtime/debug"
	"strconv"
	"sync/atomic"
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
	complement, bytes  uintptr
	fate, name, holder string
}

var (
	session   = &handler{}
	table     = map[string]*handler{}
	direct    *C.struct_session
	fromGo    *C.struct_row
	unknown   *C.struct_unknown // no type of C's that Go knows: no pointer to the collector
	parked    = make(chan bool)
	parking   int32
	objects   []planted
	sink      any
	inC, inGo *payload
)

func plant(address unsafe.Pointer, bytes uintptr, fate, name, holder string) {
	objects = append(objects, planted{^uintptr(address), bytes, fate, name, holder})
}

func plantSession(c *C.struct_session, holder string) {
	plant(unsafe.Pointer(c), unsafe.Sizeof(*c), "c live", "session", holder)
	plant(unsafe.Pointer(c.rows.next.next), unsafe.Sizeof(*c.rows), "c live", "row", holder)
	plant(unsafe.Pointer(c.rows.next.text), 100, "c live", "text", holder)
}

func plantPayload(name, holder string) *payload {
	object := &payload{name: name, numbers: make([]uint64, 100)}
	plant(unsafe.Pointer(object), unsafe.Sizeof(*object), "live", "payload", holder)
	plant(unsafe.Pointer(&object.numbers[0]), 800, "live", "numbers", holder)
	return object
}

func open() {
	c := C.open_session(1000)
	session.session, session.opened = c, time.Now()
	plantSession(c, "main.session")
	c.handle = C.uintptr_t(cgo.NewHandle(plantPayload("behind a handle", "runtime/cgo.handles")))
	pin(c)
	C.keep_number(C.uintptr_t(cgo.NewHandle(plantPayload("behind a handle of a C variable", "runtime/cgo.handles"))))

	table["key"] = &handler{session: C.open_session(100)}
	plantSession(table["key"].session, "main.table")
	direct = C.open_session(100)
	plantSession(direct, "main.direct")
	fromGo = (*C.struct_row)(C.calloc(1, C.sizeof_struct_row))
	fromGo.text = C.CString("a text of more than twenty-four bytes")
	plant(unsafe.Pointer(fromGo), C.sizeof_struct_row, "c live", "row", "main.fromGo")
	plant(unsafe.Pointer(fromGo.text), 38, "c live", "text", "main.fromGo")
	unknown = C.open_unknown()
	plant(unsafe.Pointer(unknown), 200, "c live", "unknown", "main.unknown")
	plant(C.start_thread(), 5000, "c live", "block", "wait_forever")
}

// Locals of goroutines. None of their addresses is anywhere else.
func start(run func()) {
	atomic.AddInt32(&parking, 1)
	go run()
	for atomic.LoadInt32(&parking) != 0 {
		time.Sleep(time.Millisecond)
	}
}

func parks() { atomic.AddInt32(&parking, -1) }

func inReceive() {
	local := C.open_session(50)
	plantSession(local, "main.inReceive")
	parks()
	<-parked
	C.close_session(local)
}

func asNumber() {
	number := C.open_as_number(50)
	plantSession(C.session_of(number), "main.asNumber")
	parks()
	<-parked
	C.close_number(number)
}

func asUnknown() {
	local := C.open_unknown()
	plant(unsafe.Pointer(local), 200, "c live", "unknown", "main.asUnknown")
	parks()
	<-parked
	C.close_unknown(local)
}

func insideC() {
	local := plantPayload("of a goroutine inside C", "main.insideC")
	argument := C.open_session(50)
	plantSession(argument, "main.insideC")
	parks()
	C.wait_with(argument)
	inC = local
}

func insideGo() {
	local := plantPayload("of a goroutine that C called back", "main.insideGo")
	C.call_back()
	inGo = local
}

func stray(c *C.struct_session) {
	object := &page{owner: &payload{name: "stray"}}
	sink = object
	plant(unsafe.Pointer(object), unsafe.Sizeof(*object), "stray", "page", "session")
	plant(unsafe.Pointer(object.owner), unsafe.Sizeof(*object.owner), "stray", "page.owner", "session")
	C.set_stray(c, C.uintptr_t(uintptr(unsafe.Pointer(object))))
	object = &page{owner: &payload{name: "of a variable of C"}}
	sink = object
	plant(unsafe.Pointer(object), unsafe.Sizeof(*object), "garbage", "page", "a variable of C")
	C.keep_stray(C.uintptr_t(uintptr(unsafe.Pointer(object))))
	sink = nil
}

func drop() {
	for i := 0; i < 10; i++ {
		garbage := &page{owner: &payload{name: fmt.Sprint(i)}}
		sink = garbage
		plant(unsafe.Pointer(garbage), unsafe.Sizeof(*garbage), "garbage", "page", "")
		plant(unsafe.Pointer(garbage.owner), unsafe.Sizeof(*garbage.owner), "garbage", "page.owner", "")
	}
	stray(session.session)
}

// Sessions of ten rows each, of which C has written down the complements of all blocks.
func leak() {
	C.lose_sessions()
	for i := 0; i < C.LOST_BLOCKS; i++ {
		block := C.lost_blocks[i]
		objects = append(objects, planted{uintptr(block.complement), uintptr(block.bytes), "c leaked",
			C.GoString(block.name), ""})
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func inNewGoroutine(run func()) { // no address stays on the stack of main
	done := make(chan bool)
	go func() { run(); close(done) }()
	<-done
}

func writeTruth() {
	list, err := os.Create("planted.tsv")
	check(err)
	for _, object := range objects {
		line := strconv.AppendUint(nil, uint64(^object.complement), 10)
		_, err = fmt.Fprintf(list, "%s\t%d\t%s\t%s\t%s\n", line, object.bytes, object.fate, object.name, object.holder)
		check(err)
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
}

func main() {
	inNewGoroutine(leak)
	inNewGoroutine(open)
	for _, run := range []func(){inReceive, asNumber, asUnknown, insideC, insideGo} {
		start(run)
	}
	debug.SetGCPercent(-1)
	runtime.GC()
	runtime.GC()
	inNewGoroutine(drop)
	writeTruth()
	if len(os.Args) < 2 || os.Args[1] != "end=none" {
		C.end_process()
	}
}
