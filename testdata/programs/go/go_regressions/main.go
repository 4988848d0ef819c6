// What analysers of Go cores lose today: each of these holds some thousand objects, and each object is written down.
//
//	main.array ──► *[20000]*square behind unsafe.Pointer   more than 128 KiB of pointers: since Go 1.24 the type has no mask
//	holdList's list ──► node ─► node ─► …                  only through a variable whose address was taken: a stack object
//	dropList's list ──► node ─► …                          the same, but nobody looks at it any more: garbage
//	main.repeated ──► map[uint64]*item                     a directory that has one table several times (Go 1.24 …)
//	main.wides ──► []wide, 600 bytes each ─► part          more elements than one behind the type's address in the block
//
// Writes planted.tsv as go_heap does, with a line for each object, and aborts.
package main

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"unsafe"
)

type square struct { // 1024 bytes
	number uint64
	sides  [127]uint64
}

type node struct { // 112 bytes
	next    *node
	numbers [13]uint64
}

type item struct { // 144 bytes
	number uint64
	self   *item
	rest   [16]uint64
}

type part struct { // 96 bytes
	numbers [12]uint64
}

type wide struct { // 600 bytes
	number uint64
	first  *part
	middle [70]uint64
	last   *part
	rest   [2]uint64
}

const (
	squares = 20000
	nodes   = 40000
	items   = 20000
)

type planted struct {
	complement         uintptr
	fate, name, holder string
}

var (
	array    unsafe.Pointer
	repeated = map[uint64]*item{}
	wides    []wide
	fewWides [20][]wide
	list     []planted
	listLock sync.Mutex
	forever  = make(chan bool)
	ready    sync.WaitGroup
	sink     *node
)

func plant(object unsafe.Pointer, fate, name, holder string) {
	listLock.Lock()
	list = append(list, planted{^uintptr(object), fate, name, holder})
	listLock.Unlock()
}

func makeArray() {
	pointers := new([squares]*square)
	for i := range pointers {
		pointers[i] = &square{number: uint64(i)}
		plant(unsafe.Pointer(pointers[i]), "live", "square", "main.array")
	}
	plant(unsafe.Pointer(pointers), "live", "array", "main.array")
	array = unsafe.Pointer(pointers)
}

type listHead struct {
	count uint64
	first *node
}

func (l *listHead) fill(fate, holder string) {
	for i := uint64(0); i < nodes; i++ {
		l.first = &node{next: l.first, numbers: [13]uint64{i}}
		l.count++
		plant(unsafe.Pointer(l.first), fate, "node", holder)
	}
}

func holdList() {
	var head listHead
	head.fill("live", "main.holdList")
	wait(&head)
}

//go:noinline
func wait(head *listHead) {
	ready.Done()
	<-forever
	head.count++
	sink = head.first
}

func dropList() {
	var head listHead
	head.fill("garbage", "main.dropList")
	ready.Done()
	<-forever
}

func makeMap() {
	for i := uint64(0); i < items || !hasRepeatedTable(repeated); i++ {
		object := &item{number: i}
		object.self = object
		repeated[i] = object
		plant(unsafe.Pointer(object), "live", "item", "main.repeated")
	}
}

func fillWides(all []wide, holder string) {
	for i := range all {
		all[i] = wide{number: uint64(i), first: &part{}, last: &part{}}
		plant(unsafe.Pointer(all[i].first), "live", "part", holder)
		plant(unsafe.Pointer(all[i].last), "live", "part", holder)
	}
	plant(unsafe.Pointer(&all[0]), "live", "wide[]", holder)
}

func makeWides() {
	wides = make([]wide, 1000)
	fillWides(wides, "main.wides")
	for i := range fewWides { // 1200 to 12,000 bytes: of several size classes, and all with their type in front
		fewWides[i] = make([]wide, i+2)
		fillWides(fewWides[i], "main.fewWides")
	}
}

func inNewGoroutine(run func()) { // no address stays on the stack of main
	done := make(chan bool)
	go func() { run(); close(done) }()
	<-done
}

func writeTruth() {
	file, err := os.Create("planted.tsv")
	if err != nil {
		panic(err)
	}
	writer := bufio.NewWriter(file)
	var digits [20]byte
	for _, object := range list {
		_, _ = writer.Write(strconv.AppendUint(digits[:0], uint64(^object.complement), 10))
		_, _ = writer.WriteString("\t8\t" + object.fate + "\t" + object.name + "\t" + object.holder + "\n")
	}
	if writer.Flush() != nil || file.Close() != nil {
		panic("planted.tsv")
	}
}

// With the signal's default action: the kernel dumps a process that knows nothing of it. With GOTRACEBACK=crash it would
// know, print stacks, and now and then wait for ever for a thread to stop.
func abort() {
	var action [4]uintptr // as the kernel has it on amd64 and arm64; zero: the default
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGABRT), uintptr(unsafe.Pointer(&action)),
		0, 8, 0, 0)
	self, _, _ := syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
	thread, _, _ := syscall.RawSyscall(syscall.SYS_GETTID, 0, 0, 0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_TGKILL, self, thread, uintptr(syscall.SIGABRT))
}

func main() {
	runtime.GC()
	debug.SetGCPercent(-1)
	inNewGoroutine(makeArray)
	inNewGoroutine(makeMap)
	inNewGoroutine(makeWides)
	ready.Add(2)
	go holdList()
	go dropList()
	ready.Wait()
	for runtime.NumGoroutine() > 3 {
		runtime.Gosched()
	}
	writeTruth()
	abort()
}
