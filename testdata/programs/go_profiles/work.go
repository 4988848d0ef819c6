package main

import (
	"context"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"
)

// What stays, what goes, and what was freed before the end.
var (
	kept     [][]byte
	released [][]byte
	lists    []*node[string]
	sessions = map[int]*session{}
	closures []func() int
)

type node[T any] struct {
	next  *node[T]
	value T
}

type session struct {
	name   string
	buffer [300]byte
}

type shape interface{ grow(n int) }

func (s *session) grow(n int) { kept = append(kept, make([]byte, n)) } // inlined where the type is known

// smallest, small, middle: two levels of inlined calls around an allocation.
func smallest(n int) []byte { return make([]byte, n) }
func small(n int) []byte    { return smallest(n + 1) }

//go:noinline
func middle(n int) { kept = append(kept, small(n)) }

//go:noinline
func push[T any](list *node[T], value T) *node[T] { return &node[T]{list, value} }

// recurse makes a stack deeper than the run-time keeps.
//
//go:noinline
func recurse(depth, bytes int) {
	if depth == 0 {
		middle(bytes)
		return
	}
	recurse(depth-1, bytes)
}

//go:noinline
func viaInterface(s shape, n int) { s.grow(n) }

type embedding struct{ *session } // its grow is a wrapper that the compiler makes

func allocate() {
	for i := 0; i < 3000; i++ {
		middle(10 + i%700)
		released = append(released, make([]byte, 64+i%300))
	}
	for i := 0; i < 200; i++ {
		middle(40_000 + i) // large objects
		recurse(5, 1000)
		recurse(60, 1000)
		recurse(300, 500)
	}
	var list *node[string]
	var numbers *node[int]
	for i := 0; i < 5000; i++ {
		list = push(list, "value")
		numbers = push(numbers, i)
	}
	lists = append(lists, list)
	closures = append(closures, func() int { return numbers.value })
	for i := 0; i < 3000; i++ {
		sessions[i] = &session{name: string([]byte{'a' + byte(i%26), byte(i)})} // tiny objects, and a growing map
		viaInterface(&session{}, 128)
		viaInterface(embedding{sessions[i]}, 256)
		n := i
		closures = append(closures, func() int { n++; return n })
	}
	defer func() {
		_ = recover()
		middle(2000)
	}()
	panicking(7)
}

//go:noinline
func panicking(n int) {
	defer middle(30_000)
	kept = append(kept, make([]byte, n))
	var nothing *session
	nothing.name = "x"
}

func release() {
	released = nil
	lists = nil
	for i := range sessions {
		if i%2 == 0 {
			delete(sessions, i)
		}
	}
}

// After the last collection: in no profile yet.
func allocateMore() {
	for i := 0; i < 500; i++ {
		middle(5000)
	}
}

// contend fills the block and mutex profiles.
func contend() {
	var mutex sync.Mutex
	var readers sync.RWMutex
	var all sync.WaitGroup
	results := make(chan int)
	for worker := 0; worker < 4; worker++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := 0; i < 20; i++ {
				hold(&mutex)
				holdInlined(&mutex)
				readers.RLock()
				time.Sleep(10 * time.Microsecond)
				readers.RUnlock()
				readers.Lock()
				readers.Unlock() //nolint
				results <- i
			}
		}()
	}
	go func() {
		all.Wait()
		close(results)
	}()
	for range results {
		select {
		case <-time.After(50 * time.Microsecond):
		case <-make(chan int):
		}
	}
}

//go:noinline
func hold(mutex *sync.Mutex) {
	mutex.Lock()
	defer mutex.Unlock()
	time.Sleep(50 * time.Microsecond)
}

func holdInlined(mutex *sync.Mutex) {
	mutex.Lock()
	runtime.Gosched()
	mutex.Unlock()
}

var (
	never   = make(chan int) // nobody sends
	full    = make(chan int) // nobody receives
	waiting sync.WaitGroup
	locked  sync.Mutex
)

//go:noinline
func receive() { <-never }

func inlinedReceive() { receive() }

func startGoroutines() {
	runtime.SetFinalizer(&session{}, func(*session) { receive() })
	startCleanup()
	waiting.Add(1)
	locked.Lock()
	for i := 0; i < 7; i++ {
		go inlinedReceive()
		go func() { full <- 1 }()
	}
	go func() { recurseAndReceive(50) }()
	go func() { recurseAndReceive(400) }()
	go locked.Lock()
	go waiting.Wait()
	go time.Sleep(24 * time.Hour)
	go func() {
		select {
		case <-never:
		case full <- 1:
		}
	}()
	go func() { select {} }()
	for i := 0; i < 3; i++ {
		go pprof.Do(context.Background(), pprof.Labels("handler", "index", "tenant", "blue"), func(context.Context) { receive() })
	}
	many := []string{}
	for _, key := range "abcdefghijklmnopqrstuvwxyz" {
		many = append(many, string(key), string(key)+" value")
	}
	go pprof.Do(context.Background(), pprof.Labels(many...), func(context.Context) { receive() })
	go func() {
		runtime.LockOSThread()
		receive()
	}()
}

//go:noinline
func recurseAndReceive(depth int) {
	if depth == 0 {
		inlinedReceive()
		return
	}
	recurseAndReceive(depth - 1)
}
