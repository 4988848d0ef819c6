// Goroutines in every kind of wait, with locals that the collector holds live and locals that it holds dead, then a core.
//
//	go_stacks DIRECTORY
//
// Run with GOTRACEBACK=crash, so that tracebacks say pc, sp and fp of each frame and leave out nothing. It writes
//
//	stacks.txt     runtime.Stack of all goroutines, shortly before the end
//	heap.dump      debug.WriteHeapDump: the pointer slots of each frame, as the run-time's own maps have them
//	plants.txt     for each planted object: name, address, "live" or "dead" by what the collector did
//	traceback.txt  what the run-time says while it dies (standard error)
//
// and aborts. From the last collection on nothing moves: the collector is switched off, and all goroutines but the main
// one and the spinning one are blocked.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

var started = make(chan bool)
var forever = make(chan int)

// start runs f and returns once it says that it is about to block.
func start(f func()) {
	go f()
	<-started
}

func block() {
	started <- true
	<-forever
}

func write(path string, text string) {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		panic(err)
	}
}

func allStacks() string {
	buffer := make([]byte, 1<<20)
	for {
		if n := runtime.Stack(buffer, true); n < len(buffer) {
			return string(buffer[:n])
		}
		buffer = make([]byte, 2*len(buffer))
	}
}

func main() {
	directory := os.Args[1]
	startWaits()
	startPlants()
	startForeign()
	startSpinner()
	time.Sleep(50 * time.Millisecond) // from "about to block" to blocked
	for i := 0; i < 3; i++ {          // the second one frees what the first one's finalizers held
		runtime.GC()
		time.Sleep(20 * time.Millisecond)
	}
	debug.SetGCPercent(-1)

	write(filepath.Join(directory, "plants.txt"), describePlants())
	dump, err := os.Create(filepath.Join(directory, "heap.dump"))
	if err != nil {
		panic(err)
	}
	debug.WriteHeapDump(dump.Fd())
	dump.Close()
	traceback, err := os.Create(filepath.Join(directory, "traceback.txt"))
	if err != nil {
		panic(err)
	}
	if err := syscall.Dup3(int(traceback.Fd()), 2, 0); err != nil {
		panic(err)
	}
	write(filepath.Join(directory, "stacks.txt"), allStacks())
	fmt.Println("ready")
	os.Stdout.Sync()
	syscall.Kill(syscall.Getpid(), syscall.SIGABRT)
	time.Sleep(time.Hour)
}
