//go:build go1.23

package main

import "iter"

// A coroutine that has yielded, and one that blocks.
func startIterators() {
	start(func() {
		next, _ := iter.Pull(func(yield func(int) bool) { yield(1); yield(2) })
		next()
		block()
		next()
	})
	start(func() {
		next, _ := iter.Pull(func(yield func(int) bool) { block(); yield(1) })
		next()
	})
}
