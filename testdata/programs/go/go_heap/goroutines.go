// Goroutines that hold things on their stacks, each parked in another way. Each says so before it parks, and main waits
// until all have.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

var (
	parking   int64 // goroutines that have not said yet that they are about to park
	forever   = make(chan *node)
	otherwise = make(chan *node)
	lock      sync.Mutex
	readers   sync.RWMutex
	condition = sync.NewCond(&sync.Mutex{})
	group     sync.WaitGroup
)

func start(run func()) {
	atomic.AddInt64(&parking, 1)
	go run()
}

func parks() { atomic.AddInt64(&parking, -1) }

func waitForGoroutines() {
	for atomic.LoadInt64(&parking) != 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
}

// What a goroutine's own variable holds: live as long as it is parked, since it is used afterwards.
func held(name string) *node {
	object := newNode(uint64(len(name)))
	plant(name, "local of a goroutine", "live", object)
	return object
}

//go:noinline
func use(object *node) { sink = object }

func startGoroutines() {
	lock.Lock()
	readers.Lock()
	group.Add(1)
	start(inReceive)
	start(inSend)
	start(inSelect)
	start(inMutex)
	start(inRead)
	start(inCondition)
	start(inGroup)
	start(inSleep)
	start(inSystemCall)
	start(inDefers)
	start(inPanic)
	start(func() { inRecursion(200, nil) })
	start(func() { holdList(number("list_kb")) })
	start(inClosure(held("captured by a goroutine")))
	start(labelled)
	for i := 0; i < 10; i++ {
		startLeaked(i)
	}
}

func inReceive() {
	local := held("inReceive")
	parks()
	use(<-forever)
	use(local)
}

// The element waits in this frame until somebody receives it.
func inSend() {
	parks()
	otherwise <- held("inSend")
}

func inSelect() {
	local := held("inSelect")
	parks()
	select {
	case object := <-forever:
		use(object)
	case otherwise <- held("inSelect, sent"):
	case <-time.After(time.Hour):
	}
	use(local)
}

func inMutex() {
	local := held("inMutex")
	parks()
	lock.Lock()
	use(local)
}

func inRead() {
	local := held("inRead")
	parks()
	readers.RLock()
	use(local)
}

func inCondition() {
	local := held("inCondition")
	condition.L.Lock()
	parks()
	condition.Wait()
	use(local)
}

func inGroup() {
	local := held("inGroup")
	parks()
	group.Wait()
	use(local)
}

func inSleep() {
	local := held("inSleep")
	parks()
	time.Sleep(time.Hour)
	use(local)
}

func inSystemCall() {
	local := held("inSystemCall")
	var ends [2]int
	var byte1 [1]byte
	_ = syscall.Pipe(ends[:])
	parks()
	_, _ = syscall.Read(ends[0], byte1[:])
	use(local)
}

// Deferred calls hold what they captured: one that the compiler laid out in the frame, and some made in a loop.
func inDefers() {
	early := held("captured by a deferred call")
	defer func() { use(early) }()
	for i := 0; i < 3; i++ {
		object := held("captured by a deferred call in a loop")
		defer func() { use(object) }()
	}
	parks()
	<-forever
}

// The panic's value is held by the panic alone.
func inPanic() {
	defer func() {
		defer func() { _ = recover() }()
		parks()
		<-forever
	}()
	panic(held("value of a panic"))
}

func inRecursion(depth int, above *node) {
	local := newNode(uint64(depth))
	local.next = above
	if depth > 0 {
		inRecursion(depth-1, local)
	} else {
		plant("inRecursion", "local of a goroutine", "live", above.next)
		parks()
		<-forever
	}
	use(local)
}

// `list` is written for the last time before the goroutine parks, its address lies in another frame: it is a stack
// object, which no stack map of this frame mentions any more.
func holdList(kilobytes int) {
	var list struct {
		count uint64
		head  *node
	}
	for i := 0; i < kilobytes*1024/64; i++ {
		list.head = &node{next: list.head, value: uint64(i), name: decimal(uint64(i) + 1e9)}
		list.count++
	}
	plant("list", "stack object", "live", list.head)
	plant("list.next", "stack object", "live", list.head.next.next.next)
	lookAt(unsafe.Pointer(&list))
}

//go:noinline
func lookAt(list unsafe.Pointer) {
	parks()
	<-forever
	*(*uint64)(list)++
}

func inClosure(object *node) func() {
	counter := 0
	return func() {
		counter++
		parks()
		<-forever
		use(object)
	}
}

// Nobody has the other end of `mine`: it never goes on. All of them are made here.
func startLeaked(i int) {
	mine := make(chan *node)
	block := make([]*node, 1000)
	block[999] = newNode(uint64(i))
	plant("startLeaked", "local of a goroutine", "live", block[999])
	start(func() {
		parks()
		block[0] = <-mine
		use(block[0])
	})
}

// Events for the profiles of blocking and of contention.
func contend() {
	var mutex sync.Mutex
	done := make(chan bool)
	for i := 0; i < 4; i++ {
		go func() {
			for n := 0; n < 10; n++ {
				mutex.Lock()
				time.Sleep(100 * time.Microsecond)
				mutex.Unlock()
			}
			done <- true
		}()
	}
	for i := 0; i < 4; i++ {
		<-done
	}
}

func newPayload(i int) *record {
	payload := &record{id: uint64(i), left: newNode(1), right: newNode(2)}
	plant("spin", "local of a goroutine", "live", payload.right)
	return payload
}

var stopSpinning int32

// No calls: only a signal stops it, and then its frames have no exact map.
func spin(payload *record, i int) {
	count := uint64(0)
	for atomic.LoadInt32(&stopSpinning) == 0 {
		count += payload.id + payload.left.value
	}
	payload.numbers[0] = count
	runtime.KeepAlive(payload)
}

var (
	timer     *time.Timer
	afterFunc *time.Timer
	ticker    *time.Ticker
)

// What a pending timer calls is live though nobody keeps the timer.
func makeTimers() {
	timer = time.NewTimer(time.Hour)
	ticker = time.NewTicker(time.Hour)
	later := newNode(7)
	plant("timer", "timer", "live", later)
	time.AfterFunc(2*time.Hour, func() { use(later) })
	kept := newNode(8)
	plant("kept timer", "afterFunc", "live", kept)
	afterFunc = time.AfterFunc(3*time.Hour, func() { use(kept) })
}
