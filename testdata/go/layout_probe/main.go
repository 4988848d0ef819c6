// A program whose debug info holds the structures of the run-time that layout_fields.txt names: it mentions what
// makes the linker keep them. Never run.
package main

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"time"
)

func main() {
	table := map[string]int{"a": 1}
	channel := make(chan int)
	var mutex sync.Mutex
	go func() {
		mutex.Lock()
		select {
		case channel <- 1:
		case <-time.After(time.Hour):
		}
	}()
	<-channel
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	finalized := new([4]*int)
	runtime.SetFinalizer(finalized, func(*[4]*int) {})
	debug.WriteHeapDump(os.Stderr.Fd())
	for _, name := range []string{"heap", "goroutine", "block", "mutex"} {
		_ = pprof.Lookup(name).WriteTo(os.Stderr, 0)
	}
	fmt.Println(table, stats.HeapAlloc, reflect.TypeOf(table).Key(), reflect.TypeOf(mutex).NumMethod())
	newer()
}
