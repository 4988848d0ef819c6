// Goroutines that wait: some for what nobody can reach any more, others for what somebody still holds. Then it aborts.
//
//	lost       receives from a channel that only it knows; each holds 64 KiB
//	selecting  waits for two such channels
//	locked     waits for a mutex that a lost goroutine holds
//	nothing    waits for a nil channel
//	parked     receives from a channel in a package variable
//	chained    receives from a channel that a parked goroutine has on its stack
//	timed      waits for a timer
package main

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

type payload struct {
	data [64 << 10]byte
	next *payload
}

// Not a bare mutex: that would share its 16 bytes with other small values, and live as long as any of them.
type guarded struct {
	sync.Mutex
	value *payload
}

var (
	known   = make(chan *payload)
	started sync.WaitGroup
)

func lost() {
	held := &payload{}
	results := make(chan *payload)
	started.Done()
	held.next = <-results
	runtime.KeepAlive(held)
}

func selecting() {
	first, second := make(chan int), make(chan int)
	started.Done()
	select {
	case <-first:
	case second <- 1:
	}
}

func locked(mutex *guarded) {
	started.Done()
	mutex.Lock()
	mutex.Unlock()
}

func holder(mutex *guarded) {
	mutex.Lock()
	forever := make(chan int)
	started.Done()
	<-forever
	mutex.Unlock()
}

func nothing() {
	var channel chan int
	started.Done()
	<-channel
}

func parked(next chan *payload) {
	started.Done()
	next <- <-known
}

func chained(from chan *payload) {
	started.Done()
	<-from
}

func timed() {
	started.Done()
	select {
	case <-time.After(time.Hour):
	case <-make(chan int):
	}
}

func main() {
	started.Add(5 + 3 + 1 + 1 + 2 + 2 + 2 + 1)
	for i := 0; i < 5; i++ {
		go lost()
	}
	for i := 0; i < 3; i++ {
		go selecting()
	}
	mutex := new(guarded)
	go holder(mutex)
	time.Sleep(20 * time.Millisecond)
	go locked(mutex)
	go nothing()
	go nothing()
	for i := 0; i < 2; i++ {
		next := make(chan *payload)
		go parked(next)
		go chained(next)
	}
	go timed()
	mutex = nil
	started.Wait()
	time.Sleep(100 * time.Millisecond)
	runtime.GC()
	_ = syscall.Kill(os.Getpid(), syscall.SIGABRT)
	time.Sleep(time.Minute)
}
