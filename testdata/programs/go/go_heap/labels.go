//go:build !small

package main

import (
	"context"
	"os"
	"runtime/pprof"
	"time"
)

// A goroutine with labels, which waits for input through the poller.
func labelled() {
	pprof.Do(context.Background(), pprof.Labels("request", "17", "tenant", "blue"), func(context.Context) {
		local := held("labelled")
		in, out, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		parks()
		_, _ = in.Read(make([]byte, 1))
		time.Sleep(time.Hour)
		use(local)
		_ = out.Close()
	})
}
