// Objects whose end the program wants to know of: finalizers set, queued, and never run, since the first one never
// returns. lifetimes_124.go has the cleanups and weak pointers of newer releases.
package main

import (
	"runtime"
	"sync"
	"time"
)

var (
	withFinalizer *record // live, has a finalizer
	pool          = sync.Pool{New: func() any { return new(record) }}
	shared        sync.Map
	finalizing    int64
)

func makeFinalizers() {
	withFinalizer = &record{left: newNode(1)}
	runtime.SetFinalizer(withFinalizer, func(*record) {})
	done := make(chan bool)
	go func() { // so that no stack has anything of these
		blocker := &record{id: 1}
		runtime.SetFinalizer(blocker, func(*record) {
			close(done)
			<-forever
		})
		blocker = nil
	}()
	for finished := false; !finished; {
		runtime.GC()
		select {
		case <-done:
			finished = true
		case <-time.After(time.Millisecond):
		}
	}
	dropFinalizable(5, "queued")
	waitForNothing()
	runtime.GC()
	runtime.GC() // they are in the queue now
	for i := uint64(0); i < 20; i++ {
		value := newNode(i)
		shared.Store(decimal(i), value)
		plant("sync.Map", "shared", "live", value)
	}
}

// Objects with finalizers that nobody keeps. Those that a collection has seen wait in the finalizers' queue, which
// keeps them; what they and their finalizers refer to is live either way.
func dropFinalizable(count int, name string) {
	finished := make(chan bool)
	go func() {
		for i := 0; i < count; i++ {
			object, captured := &record{left: newNode(2)}, newNode(3)
			runtime.SetFinalizer(object, func(*record) { use(captured) })
			plant(name+": object", "finalizer", map[bool]string{true: "live", false: "finalizable"}[name == "queued"], object)
			plant(name+": field", "finalizer", "live", object.left)
			plant(name+": captured", "finalizer", "live", captured)
		}
		close(finished)
	}()
	<-finished
}

// Lets goroutines that have finished be gone.
func waitForNothing() { time.Sleep(5 * time.Millisecond) }

// After the last collection, which empties pools.
func fillPools() {
	for i := 0; i < 3; i++ {
		item := &record{left: newNode(4)}
		plant("sync.Pool", "pool", "live", item.left)
		pool.Put(item)
	}
	dropFinalizable(5, "set")
	dropWeak()
}
