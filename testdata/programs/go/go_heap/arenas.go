//go:build goexperiment.arenas

// Arenas, for builds with GOEXPERIMENT=arenas: objects that are freed together, in chunks of 8 MB. One is live and one
// was freed, which makes its chunk unreadable.
package main

import "arena"

var inArena *record

func makeArenas() {
	memory := arena.NewArena()
	inArena = arena.New[record](memory)
	inArena.left = newNode(13)
	slice := arena.MakeSlice[*node](memory, 100, 100)
	slice[99] = newNode(14)
	inArena.right = &node{}
	anything = append(anything, memory, slice)
	plant("arena", "inArena", "live", inArena.left)
	plant("arena slice", "anything", "live", slice[99])
	freed := arena.NewArena()
	_ = arena.New[record](freed)
	freed.Free()
}
