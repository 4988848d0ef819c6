// Objects that are allocated at known places and held by known variables, all of them sampled. It writes down each of them,
// then aborts:
//
//	c000123400	main.newSession	41	main.cache            address, function and line of the allocation, holder
//	c000456000	main.newBuffer	46	goroutine main.worker*     * : what may be more, as the build has it
//
//	held TRUTH [key=value…]
//
//	rate=N     runtime.MemProfileRate; default 1: every allocation. rate=default leaves it alone
//	buffer=N   bytes of a session's buffer; default 2048
//	count=N    sessions per holder; default 50
//	garbage=no nothing is dropped after the last collection: all counts are published
package main

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

type session struct {
	id     int
	buffer []byte
	next   *session
}

type owner struct {
	name string
	data []byte
}

// Each place allocates in one line.

//go:noinline
func newSession(id int) *session {
	return &session{id: id}
}

//go:noinline
func newBuffer() []byte {
	return make([]byte, bufferBytes)
}

//go:noinline
func newLink(next *session) *session {
	return &session{next: next}
}

//go:noinline
func newLarge() []byte {
	return make([]byte, 1<<20)
}

//go:noinline
func newOwner() *owner {
	return &owner{name: "owner"}
}

//go:noinline
func newTable(n int) []*session {
	return make([]*session, n)
}

// What holds it.
var (
	cache    = map[int]*session{}
	registry []*session
	chain    *session
	queue    chan *session
	callback func() int
	value    interface{}
	large    [][]byte
)

var (
	bufferBytes = 2048
	started     sync.WaitGroup
	lock        sync.Mutex // of truth
	never       = make(chan bool)
)

// Numbers, not addresses: what is written down is not thereby held.
type planted struct {
	address  uintptr
	function string
	holder   string
}

var truth []planted

func plant(object unsafe.Pointer, function, holder string) {
	truth = append(truth, planted{uintptr(object), function, holder})
}

//go:noinline
func fullSession(id int, holder string) *session {
	s := newSession(id)
	s.buffer = newBuffer()
	plant(unsafe.Pointer(s), "newSession", holder)
	plant(unsafe.Pointer(&s.buffer[0]), "newBuffer", holder)
	return s
}

//go:noinline
func fill(count int) {
	queue = make(chan *session, count)
	registry = newTable(2 * count)
	plant(unsafe.Pointer(&registry[0]), "newTable", "main.registry")
	for i := 0; i < count; i++ {
		cache[i] = fullSession(i, "main.cache")
		registry[i] = fullSession(i, "main.registry")
		both := fullSession(i, "main.registry (shared)")
		cache[count+i], registry[count+i] = both, both
		queue <- fullSession(i, "main.queue")
	}
	for i := 0; i < 20*count; i++ {
		chain = newLink(chain)
		plant(unsafe.Pointer(chain), "newLink", "main.chain")
	}
	for i := 0; i < 4; i++ {
		block := newLarge()
		large = append(large, block)
		plant(unsafe.Pointer(&block[0]), "newLarge", "main.large")
	}
	captured := fullSession(0, "main.callback")
	callback = func() int { captured.id++; return captured.id }
	value = fullSession(0, "main.value")
}

//go:noinline
func finalized(count int) {
	for i := 0; i < count; i++ {
		o := newOwner()
		o.data = newBuffer()
		plant(unsafe.Pointer(o), "newOwner", "garbage") // but for its finalizer
		plant(unsafe.Pointer(&o.data[0]), "newBuffer", "handle finalizer")
		runtime.SetFinalizer(o, func(*owner) {})
	}
}

//go:noinline
func worker(count int) {
	batch := newTable(count)
	lock.Lock()
	plant(unsafe.Pointer(&batch[0]), "newTable", "goroutine main.worker*")
	for i := range batch {
		batch[i] = fullSession(i, "goroutine main.worker*")
	}
	lock.Unlock()
	started.Done()
	<-never
	runtime.KeepAlive(batch)
}

//go:noinline
func sharing(common *session) {
	started.Done()
	<-never
	runtime.KeepAlive(common)
}

//go:noinline
func start(count int) {
	for i := 0; i < 2; i++ {
		started.Add(1)
		go worker(count)
	}
	started.Wait()
	common := fullSession(0, "goroutine main.*(shared)") // in sharing() or in what calls it
	for i := 0; i < 3; i++ {
		started.Add(1)
		go sharing(common)
	}
}

//go:noinline
func waste(count int) {
	for i := 0; i < count; i++ {
		fullSession(i, "garbage")
	}
}

// The stack below here still has what earlier calls left; nothing of that is looked at, but registers of this frame are.
//
//go:noinline
func scrub(depth int) int {
	var frame [256]byte
	for i := range frame {
		frame[i] = byte(depth)
	}
	if depth == 0 {
		return int(frame[0])
	}
	return scrub(depth-1) + int(frame[depth%256])
}

func write(path string, lines map[string]int) {
	var text strings.Builder
	for _, object := range truth {
		fmt.Fprintf(&text, "%x\tmain.%s\t%d\t%s\n", object.address, object.function, lines[object.function], object.holder)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		panic(err)
	}
}

// The line that allocates follows the one on which the function begins.
func allocationLines() map[string]int {
	lines := map[string]int{}
	for name, f := range map[string]interface{}{"newSession": newSession, "newBuffer": newBuffer, "newLink": newLink,
		"newLarge": newLarge, "newOwner": newOwner, "newTable": newTable} {
		entry := reflect.ValueOf(f).Pointer()
		_, line := runtime.FuncForPC(entry).FileLine(entry)
		lines[name] = line + 1
	}
	return lines
}

func main() {
	options := map[string]string{"rate": "1", "buffer": "2048", "count": "50"}
	for _, argument := range os.Args[2:] {
		if key, text, ok := strings.Cut(argument, "="); ok {
			options[key] = text
		}
	}
	debug.SetGCPercent(-1)
	if rate, err := strconv.Atoi(options["rate"]); err == nil {
		runtime.MemProfileRate = rate
	}
	bufferBytes, _ = strconv.Atoi(options["buffer"])
	count, _ := strconv.Atoi(options["count"])
	fill(count)
	start(count)
	started.Wait()
	time.Sleep(50 * time.Millisecond)
	for i := 0; i < 4; i++ {
		runtime.GC() // publishes what was counted before
	}
	if options["garbage"] != "no" {
		finalized(count)
		waste(count)
	}
	write(os.Args[1], allocationLines())
	if len(os.Args) > 100 {
		_ = pprof.WriteHeapProfile(os.Stdout) // or the linker switches sampling off
	}
	scrub(100)
	_ = syscall.Kill(os.Getpid(), syscall.SIGABRT)
	time.Sleep(time.Minute)
}
