//go:build go1.21

package main

import "runtime"

func pin(object *[4]*int) {
	var pinner runtime.Pinner
	pinner.Pin(object)
}
