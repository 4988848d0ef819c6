package main

import (
	"sync/atomic"
	"time"
	"unsafe"
)

var waiting int32

// Channels that the variable of a function refers to no more, and some at which goroutines wait.
func startChannels() {
	timers := &kind{name: "channel of a timer", fate: fateOfChannels, bytes: 96}
	tickers := &kind{name: "channel of a ticker", fate: fateOfChannels, bytes: 96}
	waited := &kind{name: "channel that somebody waits at", fate: "live", bytes: 96}
	kinds = append(kinds, timers, tickers, waited)
	group.Add(1)
	go func() {
		defer group.Done()
		for i := 0; i < count; i++ {
			timers.channel(time.NewTimer(time.Hour).C)
			tickers.channel(time.NewTicker(time.Hour).C)
		}
	}()
	group.Wait()
	for i := 0; i < count; i++ {
		go func() {
			timer := time.NewTimer(time.Hour)
			waited.channel(timer.C)
			atomic.AddInt32(&waiting, 1)
			<-timer.C
		}()
		for int(atomic.LoadInt32(&waiting)) <= i {
			time.Sleep(time.Millisecond)
		}
	}
}

func (k *kind) channel(channel <-chan time.Time) {
	k.complements = append(k.complements, ^*(*uintptr)(unsafe.Pointer(&channel)))
}
