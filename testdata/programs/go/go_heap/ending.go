// How the core comes about. The calls are raw: the run-time does not notice them, so that the state in the core is the
// state of which the truth was written.
//
//	abort   SIGABRT with the signal's default action: the kernel dumps a process that knows nothing of it, with all
//	        threads where they were
//	crash   SIGABRT as the run-time handles it: with GOTRACEBACK=crash it prints stacks, has all threads stop in
//	        signal handlers, and aborts. The truth is from before that
//	panic   a nil pointer in a goroutine; GOTRACEBACK=crash as above
//	fork    a copy of the process (which has this thread alone, and the memory of all) aborts, and this one goes on:
//	        collects, writes after.dump, ends
//	wait    prints "ready" and waits; gcore may dump it. When a file `continue` appears in the directory: after.dump
//	none    no core
package main

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
	"unsafe"
)

const sigAbort = 6

// As the kernel has it on amd64 and arm64; zero: the default action.
type signalAction struct {
	handler, flags, restorer, mask uintptr
}

func abort() {
	var action signalAction
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, sigAbort, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	self, _, _ := syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
	thread, _, _ := syscall.RawSyscall(syscall.SYS_GETTID, 0, 0, 0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_TGKILL, self, thread, sigAbort)
}

// The run-time's thread of this goroutine (ending_amd64.s).
func thread() *[16]uintptr

// The copy has a thread number of its own, and the run-time's note of it is what leads from goroutines to registers.
func becomeChild() {
	self, _, _ := syscall.RawSyscall(syscall.SYS_GETTID, 0, 0, 0)
	words := thread()
	for i := range words {
		if words[i] == forkingThread {
			words[i] = self
		}
	}
}

var forkingThread uintptr

var collectNow = make(chan bool)

func writeAfter(fd int) {
	runtime.GC()
	debug.WriteHeapDump(uintptr(fd))
}

func finish() {
	after := -1
	end := arguments["end"]
	if end == "fork" || end == "wait" {
		after = create("after.dump")
	}
	path := append([]byte(arguments["dir"]+"/continue"), 0)
	ready := []byte("ready\n")
	go func() {
		<-collectNow
		runtime.GC()
	}()
	runtime.Gosched()
	writeTruth()
	if arguments["collect"] != "done" {
		inCollection()
	}
	switch end {
	case "abort":
		abort()
	case "crash":
		_ = syscall.Kill(syscall.Getpid(), sigAbort)
		runtime.Gosched()
		select {}
	case "panic":
		go func(nothing *record) { nothing.id = 1 }(nil)
		select {}
	case "fork":
		forkingThread, _, _ = syscall.RawSyscall(syscall.SYS_GETTID, 0, 0, 0)
		child, _, _ := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
		if child == 0 {
			becomeChild()
			abort()
		}
		var status syscall.WaitStatus
		_, _ = syscall.Wait4(int(child), &status, 0, nil)
		writeAfter(after)
	case "wait":
		_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, 1, uintptr(unsafe.Pointer(&ready[0])), uintptr(len(ready)))
		tick := syscall.Timespec{Nsec: 20e6}
		for {
			_, _, missing := syscall.RawSyscall6(syscall.SYS_FACCESSAT, ^uintptr(99), uintptr(unsafe.Pointer(&path[0])), 0, 0, 0, 0)
			if missing == 0 {
				break
			}
			_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&tick)), 0, 0)
		}
		writeAfter(after)
	}
}

// The collector marks, or most spans are not swept yet, when this returns. (heap.dump has swept all before.)
func inCollection() {
	if arguments["collect"] == "mark" {
		close(collectNow)
		time.Sleep(3 * time.Millisecond) // of the hundreds that the list takes, one element after the other
		return
	}
	var now debug.GCStats
	debug.ReadGCStats(&now)
	before := now.NumGC
	runtime.GOMAXPROCS(1)  // the sweeper gives way to all that can run, and what spins always can
	debug.SetGCPercent(50) // less, and allocating would sweep all at once, to be done before the next collection
	for now.NumGC == before {
		for i := 0; i < 100; i++ {
			sink = make([]*node, 512)
		}
		debug.ReadGCStats(&now)
	}
}
