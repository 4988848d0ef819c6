// What the program writes down about itself. The last steps allocate nothing, so that they are true of the core.
//
//	planted.tsv     address  bytes  fate  name  holder; fates: live, garbage, finalizable (no root reaches it, but the
//	                next collection keeps it once more for its finalizer)
//	heap.pb.gz, goroutine.pb.gz, block.pb.gz, mutex.pb.gz, threadcreate.pb.gz    runtime/pprof's own (profiles.go)
//	profile.tsv     runtime.MemProfile unscaled: allocated bytes, freed bytes, allocated, freed objects, stack of PCs
//	stacks.txt      runtime.Stack of all goroutines
//	memstats.json   runtime.MemStats
//	heap.dump       debug.WriteHeapDump: every object with its contents and pointer fields
//	after.dump      the same after one more collection, in modes that can (ending.go): what survives is what the
//	                collector thinks reachable from the state in the core
package main

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"
)

type plantedObject struct {
	name, holder, fate string
	address, bytes     uintptr // not pointers to the collector
}

var (
	planted     = make([]plantedObject, 0, 4096)
	plantedLock = make(chan bool, 1)
	text        = make([]byte, 0, 1<<20)
	stats       runtime.MemStats
)

func plant[T any](name, holder, fate string, object *T) {
	plantedLock <- true
	planted = append(planted, plantedObject{name, holder, fate, uintptr(unsafe.Pointer(object)), unsafe.Sizeof(*object)})
	<-plantedLock
}

func appendNumber(to []byte, value uint64) []byte {
	var digits [20]byte
	i := len(digits)
	for {
		i--
		digits[i] = byte('0' + value%10)
		if value /= 10; value == 0 {
			return append(to, digits[i:]...)
		}
	}
}

func create(name string) int {
	fd, err := syscall.Open(arguments["dir"]+"/"+name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC, 0o644)
	if err != nil {
		panic("cannot create " + name)
	}
	return fd
}

func writeAll(fd int, content []byte) {
	for len(content) > 0 {
		size, err := syscall.Write(fd, content)
		if err != nil {
			panic("cannot write")
		}
		content = content[size:]
	}
}

func writePlanted(fd int) {
	text = text[:0]
	for _, object := range planted {
		text = append(appendNumber(text, uint64(object.address)), '\t')
		text = append(appendNumber(text, uint64(object.bytes)), '\t')
		text = append(append(text, object.fate...), '\t')
		text = append(append(text, object.name...), '\t')
		text = append(append(text, object.holder...), '\n')
	}
	writeAll(fd, text)
}

func writeMemProfile(fd int) {
	count, _ := runtime.MemProfile(nil, true)
	records := make([]runtime.MemProfileRecord, count+100)
	count, _ = runtime.MemProfile(records, true)
	for i := range records[:count] {
		record := &records[i]
		text = text[:0]
		for _, value := range []int64{record.AllocBytes, record.FreeBytes, record.AllocObjects, record.FreeObjects} {
			text = append(appendNumber(text, uint64(value)), '\t')
		}
		for _, pc := range record.Stack() {
			text = append(appendNumber(text, uint64(pc)), ' ')
		}
		text[len(text)-1] = '\n'
		writeAll(fd, text)
	}
}

func appendField(to []byte, name string, value uint64) []byte {
	if len(to) > 1 {
		to = append(to, ",\n"...)
	}
	return appendNumber(append(append(append(to, '"'), name...), `": `...), value)
}

func writeMemStats(fd int) {
	s := &stats
	runtime.ReadMemStats(s)
	text = append(text[:0], '{')
	for _, field := range [...]struct {
		name  string
		value uint64
	}{
		{"Alloc", s.Alloc}, {"TotalAlloc", s.TotalAlloc}, {"Sys", s.Sys}, {"Mallocs", s.Mallocs}, {"Frees", s.Frees},
		{"HeapAlloc", s.HeapAlloc}, {"HeapSys", s.HeapSys}, {"HeapIdle", s.HeapIdle}, {"HeapInuse", s.HeapInuse},
		{"HeapReleased", s.HeapReleased}, {"HeapObjects", s.HeapObjects}, {"StackInuse", s.StackInuse},
		{"StackSys", s.StackSys}, {"MSpanInuse", s.MSpanInuse}, {"MSpanSys", s.MSpanSys},
		{"MCacheInuse", s.MCacheInuse}, {"MCacheSys", s.MCacheSys}, {"BuckHashSys", s.BuckHashSys}, {"GCSys", s.GCSys},
		{"OtherSys", s.OtherSys}, {"NextGC", s.NextGC}, {"LastGC", s.LastGC}, {"PauseTotalNs", s.PauseTotalNs},
		{"NumGC", uint64(s.NumGC)}, {"NumForcedGC", uint64(s.NumForcedGC)},
		{"LastPauseNs", s.PauseNs[(s.NumGC+255)%256]}, {"LastPauseEnd", s.PauseEnd[(s.NumGC+255)%256]},
		{"NumGoroutine", uint64(runtime.NumGoroutine())}, {"MemProfileRate", uint64(runtime.MemProfileRate)},
	} {
		text = appendField(text, field.name, field.value)
	}
	text = append(text, ",\n\"BySize\": ["...)
	for i, class := range s.BySize {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(appendNumber(append(text, "\n["...), uint64(class.Size)), ", "...)
		text = append(appendNumber(append(appendNumber(text, class.Mallocs), ", "...), class.Frees), ']')
	}
	writeAll(fd, append(text, "]}\n"...))
}

// Makes all files but after.dump. What comes after the profiles allocates nothing.
func writeTruth() {
	writePlanted(create("planted.tsv"))
	if runtime.MemProfileRate == 1 || !hasProfiles {
		writeMemProfile(create("profile.tsv"))
	}
	writeProfiles()
	stacks, memory, dump := create("stacks.txt"), create("memstats.json"), create("heap.dump")
	space := make([]byte, 1<<20)
	text = make([]byte, 0, 1<<16)
	writeAll(stacks, space[:runtime.Stack(space, true)])
	writeMemStats(memory)
	debug.WriteHeapDump(uintptr(dump))
}
