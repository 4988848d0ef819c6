//go:build go1.24

package main

import (
	"runtime"
	"unique"
	"weak"
)

var (
	weakToLive    weak.Pointer[record]
	weakToDropped []weak.Pointer[record]
	interned      []unique.Handle[city]
	pinned        runtime.Pinner
)

// A cleanup keeps its function's captures and its argument, never its object; cleanups that are queued keep the same
// until they have run. These wait for ever, in as many goroutines as the run-time has for them.
func makeCleanups() {
	live := &record{left: newNode(5)}
	captured, argument := newNode(6), newNode(7)
	runtime.AddCleanup(live, func(*node) { use(captured) }, argument)
	plant("cleanup: captured", "cleanup", "live", captured)
	plant("cleanup: argument", "cleanup", "live", argument)
	weakToLive = weak.Make(live)
	anything = append(anything, live)
	for i := uint64(0); i < 10; i++ {
		interned = append(interned, unique.Make(city{"interned", decimal(i)}))
	}
	finished := make(chan bool)
	go func() {
		for i := 0; i < 40; i++ {
			object, captured, argument := &record{left: newNode(8)}, newNode(9), newNode(10)
			runtime.AddCleanup(object, func(argument *node) {
				<-forever
				use(captured)
				use(argument)
			}, argument)
			plant("queued cleanup: captured", "cleanup", "live", captured)
			plant("queued cleanup: argument", "cleanup", "live", argument)
		}
		close(finished)
	}()
	<-finished
	onlyPinned := &record{left: newNode(11)}
	plant("pinned", "pinned", "live", onlyPinned)
	plant("pinned: field", "pinned", "live", onlyPinned.left)
	pinned.Pin(onlyPinned)
}

// Only weak pointers refer to these.
func dropWeak() {
	finished := make(chan bool)
	go func() {
		for i := 0; i < 5; i++ {
			object := &record{left: newNode(12)}
			weakToDropped = append(weakToDropped, weak.Make(object))
			plant("weak", "", "garbage", object)
			plant("weak: field", "", "garbage", object.left)
		}
		close(finished)
	}()
	<-finished
}
