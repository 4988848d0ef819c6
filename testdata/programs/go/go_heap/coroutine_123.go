//go:build go1.23

package main

import "iter"

var nextValue func() (*node, bool)

// A coroutine in the middle of its sequence: a goroutine that nobody scheduled, with variables of its own.
func startCoroutine() {
	sequence := func(yield func(*node) bool) {
		local := held("coroutine")
		for yield(newNode(1)) {
			use(local)
		}
	}
	nextValue, _ = iter.Pull(iter.Seq[*node](sequence))
	nextValue()
}
