//go:build go1.24

package main

import (
	"runtime"
	"unique"
	"weak"
)

func newer() {
	object := new([4]*int)
	runtime.AddCleanup(object, func(int) {}, 1)
	println(weak.Make(object).Value() == nil, unique.Make("x").Value())
	pin(object)
}
