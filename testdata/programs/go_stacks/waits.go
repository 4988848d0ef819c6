package main

import (
	"context"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"
)

var heldMutex sync.Mutex
var heldRWMutex sync.RWMutex
var waitGroup sync.WaitGroup
var condition = sync.NewCond(&sync.Mutex{})
var fullChannel = make(chan string, 1)
var otherChannel = make(chan float64)
var openEnd *os.File

type pair[A, B any] struct {
	first  A
	second B
}

//go:noinline
func (p *pair[A, B]) wait(depth int) A {
	if depth > 0 {
		return p.wait(depth - 1)
	}
	block()
	return p.first
}

func inlinedTwice(n int) int { return inlinedOnce(n) + 1 }
func inlinedOnce(n int) int {
	if n > 0 {
		block()
	}
	return n
}

//go:noinline
func recurse(n int, text string) int {
	if n == 0 {
		block()
		return len(text)
	}
	var pad [20]int
	pad[n%20] = n
	return recurse(n-1, text) + pad[n%20]
}

type walker interface{ walk(n int) }
type slowWalker struct{ steps [3]int }

func (w slowWalker) walk(n int) { // called through an interface: by a wrapper
	block()
	w.steps[0] += n
}

func startWaits() {
	heldMutex.Lock()
	heldRWMutex.Lock()
	waitGroup.Add(1)
	fullChannel <- "full"
	start(func() { started <- true; <-otherChannel })
	start(func() { started <- true; fullChannel <- "more" })
	start(func() {
		started <- true
		select {
		case <-otherChannel:
		case fullChannel <- "selected":
		case <-forever:
		}
	})
	start(func() { started <- true; select {} })
	start(func() { started <- true; <-(chan int)(nil) })
	start(func() { started <- true; heldMutex.Lock() })
	start(func() { started <- true; heldMutex.Lock() })
	start(func() { started <- true; heldRWMutex.RLock() })
	start(func() { started <- true; heldRWMutex.Lock() })
	start(func() { started <- true; waitGroup.Wait() })
	start(func() { condition.L.Lock(); started <- true; condition.Wait() })
	start(func() { started <- true; time.Sleep(time.Hour) })
	start(func() { // IO wait
		var reader *os.File
		reader, openEnd, _ = os.Pipe()
		started <- true
		reader.Read(make([]byte, 1))
	})
	start(func() {
		var ends [2]int
		syscall.Pipe2(ends[:], 0)
		started <- true
		syscall.Read(ends[0], make([]byte, 1)) // a system call
	})
	start(func() { runtime.LockOSThread(); block() })
	start(func() { (&pair[string, *int]{first: "a"}).wait(3) })
	start(func() { (&pair[int, []byte]{first: 1}).wait(0) })
	start(func() { _ = inlinedTwice(len(os.Args)) })
	start(func() { recurse(100, "recursion") })
	start(func() { var w walker = &slowWalker{}; w.walk(1) })
	start(func() {
		pprof.Do(context.Background(), pprof.Labels("worker", "seven", "queue", "slow"), func(context.Context) { block() })
	})
	time.AfterFunc(time.Hour, func() {})
	startIterators()
}
