// A Go program that writes down the truth about its own heap and then leaves a core of the same moment.
//
//	build the heap ─► park all goroutines ─► collect twice, no more collections
//	   ─► drop known objects (garbage) ─► truth files (truth.go) ─► core (ending.go)
//
// Nothing runs between the truth and the core but this goroutine, and it allocates nothing there: what the files say
// about slots, pointers and stacks holds in the core to the byte. Every object that a test asks for by name is
// `planted`: its address is noted where the collector does not see it, with whether it is live and what holds it.
//
// Arguments, as NAME=VALUE:
//
//	dir=.        where the truth files go; truth.go lists them
//	end=abort    how the process ends: abort, crash, panic, fork, wait, none (ending.go)
//	rate=0       runtime.MemProfileRate; 0: as it is by default
//	list_kb=1024 size of the list that only a stack object holds
//	maps=5000    entries of the larger maps
//	spin=3       goroutines that run in a loop without calls, on 2 processors besides that of main
//	collect=done mark: the core is taken while the collector marks; sweep: before most is swept; with list_kb=60000
//
// It compiles with Go 1.19 to 1.27. `-tags small` leaves out all but the packages that the run-time itself needs.
package main

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

var arguments = map[string]string{
	"dir": ".", "end": "abort", "rate": "0", "list_kb": "1024", "maps": "5000", "spin": "3", "collect": "done",
}

// Package os would be most of the small program.
func readArguments() {
	fd, err := syscall.Open("/proc/self/cmdline", syscall.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer syscall.Close(fd)
	buffer := make([]byte, 4096)
	size, _ := syscall.Read(fd, buffer)
	word := ""
	for _, c := range buffer[:size] {
		if c != 0 {
			word += string(rune(c))
			continue
		}
		for i := range word {
			if word[i] == '=' {
				arguments[word[:i]] = word[i+1:]
				break
			}
		}
		word = ""
	}
}

func number(name string) (value int) {
	for _, c := range arguments[name] {
		if c < '0' || c > '9' {
			return value
		}
		value = value*10 + int(c-'0')
	}
	return value
}

func main() {
	readArguments()
	if rate := number("rate"); rate != 0 {
		runtime.MemProfileRate = rate
	}
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	runtime.GOMAXPROCS(3)

	makeObjects()
	makeMaps()
	makeChannels()
	makeArenas()
	makeFull()
	contend()
	startGoroutines()
	makeTimers()
	startCoroutine()
	makeFinalizers()
	makeCleanups()
	waitForGoroutines()

	debug.SetGCPercent(-1)
	runtime.GC()
	time.Sleep(50 * time.Millisecond) // finalizers and cleanups that can run have run
	runtime.GC()
	fillPools()
	done := make(chan bool)
	go func() {
		makeGarbage()
		close(done)
	}()
	<-done
	for i := 0; i < number("spin"); i++ {
		go spin(newPayload(i), i)
	}
	time.Sleep(50 * time.Millisecond)

	finish()
}
