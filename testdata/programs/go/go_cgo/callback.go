package main

// #include "parts.h"
import "C"

// Go that C calls: the goroutine's frames go on here, and C's are in between.
//
//export calledBack
func calledBack() {
	local := plantPayload("of Go inside C", "main.calledBack")
	parks()
	<-parked
	inGo = local
}
