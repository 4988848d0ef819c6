//go:build go1.23

package main

// Timers whose channels nobody waits at are in no list of the run-time's (Go 1.23 release notes, runtime/time.go needsAdd).
const fateOfChannels = "garbage"
