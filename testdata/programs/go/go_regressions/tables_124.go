//go:build go1.24

package main

import "unsafe"

// Whether the directory has one of its tables twice. After internal/runtime/maps/map.go (Map).
func hasRepeatedTable(m map[uint64]*item) bool {
	header := *(**struct {
		used      uint64
		seed      uintptr
		directory unsafe.Pointer
		length    int
	})(unsafe.Pointer(&m))
	tables := unsafe.Slice((*unsafe.Pointer)(header.directory), header.length)
	for i := 1; i < len(tables); i++ {
		if tables[i] == tables[i-1] {
			return true
		}
	}
	return false
}
