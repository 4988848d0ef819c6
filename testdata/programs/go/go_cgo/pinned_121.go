//go:build go1.21

package main

// #include "parts.h"
import "C"

import (
	"runtime"
	"unsafe"
)

var pinner runtime.Pinner

// Only C refers to the page; the pinner keeps it.
func pin(c *C.struct_session) {
	pinned := &page{owner: &payload{name: "of a page"}}
	plant(unsafe.Pointer(pinned), unsafe.Sizeof(*pinned), "live", "page", "main.pinner")
	plant(unsafe.Pointer(pinned.owner), unsafe.Sizeof(*pinned.owner), "live", "page.owner", "main.pinner")
	pinner.Pin(pinned)
	C.set_page(c, C.uintptr_t(uintptr(unsafe.Pointer(pinned))))
}
