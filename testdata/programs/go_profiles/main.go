// A program with something in each of its own profiles. It writes them as runtime/pprof does, then dies at once.
//
//	go_profiles DIRECTORY [key=value…]
//
//	rate=N       runtime.MemProfileRate; default 4096
//	collect=no   no collection ever happens: nothing was published, and the profile is of all that was counted
//	clock=no     the rate of the CPU's time-stamp counter is never asked for, the block profile not written
//	waits=no     the block and mutex profiles stay switched off
//	end=abort    the default: SIGABRT, of which the run-time knows nothing; the kernel dumps all threads
//	end=crash    SIGABRT as the run-time handles it (for GOTRACEBACK=crash)
//	end=fork     a copy of the process, of this thread alone, aborts right after the statistics were taken
//	end=early    the same right before they are taken: what they gather is still in the caches of all processors
//
// It leaves heap.pb.gz, allocs.pb.gz, goroutine.pb.gz, threadcreate.pb.gz, block.pb.gz, mutex.pb.gz; stacks.txt
// (runtime.Stack of all goroutines), smaps.txt (the kernel's view), memstats.json (runtime.MemStats), and a core.
//
// Nothing moves between what is written and the core: the collector is off, and all goroutines but the main one are blocked.
package main

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"time"
)

var options = map[string]string{}

func create(name string) *os.File {
	file, err := os.Create(filepath.Join(os.Args[1], name))
	if err != nil {
		panic(err)
	}
	return file
}

func writeProfile(name string) {
	file := create(name + ".pb.gz")
	if err := pprof.Lookup(name).WriteTo(file, 0); err != nil {
		panic(err)
	}
	_ = file.Close()
}

func writeStacks() {
	buffer := make([]byte, 1<<20)
	file := create("stacks.txt")
	_, _ = file.Write(buffer[:runtime.Stack(buffer, true)])
	_ = file.Close()
}

func init() {
	runtime.MemProfileRate = 4096
	for _, argument := range os.Args[2:] {
		if key, value, ok := strings.Cut(argument, "="); ok {
			options[key] = value
		}
	}
	if options["rate"] != "" {
		runtime.MemProfileRate = number(options["rate"])
	}
	if options["collect"] == "no" {
		debug.SetGCPercent(-1)
	}
}

func number(text string) (n int) {
	for _, digit := range text {
		n = 10*n + int(digit-'0')
	}
	return n
}

func main() {
	if options["waits"] != "no" {
		rate := 1
		if options["clock"] != "no" {
			rate = 1000
		}
		runtime.SetBlockProfileRate(rate)
		runtime.SetMutexProfileFraction(1)
		contend()
	}
	startGoroutines()
	allocate()
	time.Sleep(20 * time.Millisecond) // from "about to block" to blocked
	debug.SetMemoryLimit(3 << 30)
	if options["collect"] != "no" {
		debug.SetGCPercent(70)
		for i := 0; i < 3; i++ {
			runtime.GC()
		}
		release()
		runtime.GC()
		runtime.GC()
		time.Sleep(20 * time.Millisecond) // finalizers and cleanups begin
		debug.FreeOSMemory()
		allocateMore()
	}
	debug.SetGCPercent(-1)
	runtime.SetBlockProfileRate(0)
	runtime.SetMutexProfileFraction(mutexFraction())

	for _, name := range []string{"heap", "allocs", "goroutine", "threadcreate", "block", "mutex"} {
		if options["clock"] != "no" || name != "block" && name != "mutex" {
			writeProfile(name)
		}
	}
	writeStacks()
	end()
}

// Go 1.19 multiplies by the fraction when it writes the profile; all others need it off, so that nothing is added.
func mutexFraction() int {
	if strings.HasPrefix(runtime.Version(), "go1.19") && options["waits"] != "no" {
		return 1
	}
	return 0
}
