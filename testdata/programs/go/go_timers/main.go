// What only timers hold: nobody else refers to these objects, and the collector keeps them until the time has come.
//
//	time.AfterFunc   function, with what it captured; a method value, with its receiver
//	context          of WithTimeout, which nobody cancelled: what the context and its parents carry
//	time.NewTimer    its channel: before Go 1.23 the run-time holds it, since then only who waits at it
//
// Writes planted.tsv, in the form of go_heap's, and aborts. The collector is asked whether it keeps objects of a kind: every
// other one has a finalizer that counts.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

type record struct {
	number  uint64
	left    *record
	padding [100]byte
}

type key struct{}

type kind struct {
	name, fate  string
	bytes       uintptr
	gone        int32     // that the collector took
	complements []uintptr // of addresses
}

const count = 50

var (
	sink  *record
	kinds []*kind
	group sync.WaitGroup
)

//go:noinline
func use(object *record) { sink = object }

func (r *record) fire() { use(r) }

func (k *kind) object(i int) *record {
	object := &record{number: uint64(i), left: &record{}}
	if i%2 == 0 {
		k.complements = append(k.complements, ^uintptr(unsafe.Pointer(object)), ^uintptr(unsafe.Pointer(object.left)))
	} else {
		runtime.SetFinalizer(object, func(*record) { atomic.AddInt32(&k.gone, 1) })
	}
	return object
}

func start(name string, make func(object *record, i int)) {
	k := &kind{name: name, fate: "live", bytes: unsafe.Sizeof(record{})}
	kinds = append(kinds, k)
	group.Add(1)
	go func() { // on a stack of its own, of which nothing stays
		defer group.Done()
		for i := 0; i < count; i++ {
			make(k.object(i), i)
		}
	}()
	group.Wait()
}

func startAll() {
	start("function", func(object *record, i int) {
		time.AfterFunc(time.Hour+time.Duration(i), func() { use(object) })
	})
	start("method value", func(object *record, i int) { time.AfterFunc(time.Hour+time.Duration(i), object.fire) })
	start("reset", func(object *record, i int) {
		timer := time.AfterFunc(time.Millisecond, func() { use(object) })
		timer.Stop()
		timer.Reset(time.Hour)
	})
	start("context", func(object *record, i int) {
		parent := context.WithValue(context.Background(), key{}, object)
		_, cancel := context.WithTimeout(parent, time.Hour)
		_ = cancel
	})
}

func writeTruth() {
	list, err := os.Create("planted.tsv")
	if err != nil {
		panic(err)
	}
	for _, k := range kinds {
		if gone := atomic.LoadInt32(&k.gone); gone != 0 {
			k.fate = fmt.Sprintf("not as thought: %d were collected", gone)
		}
		for _, complement := range k.complements {
			line := strconv.AppendUint(nil, uint64(^complement), 10)
			fmt.Fprintf(list, "%s\t%d\t%s\t%s\ttimer\n", line, k.bytes, k.fate, k.name)
		}
	}
	if list.Close() != nil {
		panic("planted.tsv")
	}
}

// With the signal's default action: the kernel dumps a process that knows nothing of it. With GOTRACEBACK=crash it would
// know, print stacks, and now and then wait for ever for a thread to stop.
func abort() {
	var action [4]uintptr // as the kernel has it on amd64 and arm64; zero: the default
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGABRT), uintptr(unsafe.Pointer(&action)),
		0, 8, 0, 0)
	self, _, _ := syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
	thread, _, _ := syscall.RawSyscall(syscall.SYS_GETTID, 0, 0, 0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_TGKILL, self, thread, uintptr(syscall.SIGABRT))
}

func main() {
	runtime.GOMAXPROCS(4) // timers are kept by processor
	startAll()
	for i := 0; i < 3; i++ {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	debug.SetGCPercent(-1)
	startChannels()
	writeTruth()
	abort()
}
