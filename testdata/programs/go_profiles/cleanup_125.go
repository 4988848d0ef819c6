//go:build go1.25

package main

import "runtime"

// A cleanup that never ends: its goroutine is the program's while it runs. Before Go 1.25 finalizers and cleanups shared one.
func startCleanup() {
	runtime.AddCleanup(&session{}, func(int) { receive() }, 1)
}
