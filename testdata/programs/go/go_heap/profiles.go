//go:build !small

package main

import (
	"os"
	"runtime/pprof"
)

const hasProfiles = true

func writeProfiles() {
	for _, name := range []string{"heap", "goroutine", "block", "mutex", "threadcreate"} {
		file := os.NewFile(uintptr(create(name+".pb.gz")), name)
		if err := pprof.Lookup(name).WriteTo(file, 0); err != nil {
			panic(err)
		}
		_ = file.Close()
	}
}
