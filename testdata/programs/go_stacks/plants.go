package main

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// An object whose address stands in one place of a stack, and nowhere else. If the collector frees it, its finalizer says
// so. What the program itself notes of its address is no pointer, and not the address as it stands.
type Plant struct {
	id  int
	pad [9]int
}

const disguise = 0x5555555555555555

type plantRecord struct {
	name      string
	disguised uintptr
	dead      int32
}

var plants []*plantRecord
var plantsLock sync.Mutex

//go:noinline
func plant(name string) *Plant {
	plantsLock.Lock()
	defer plantsLock.Unlock()
	p := &Plant{id: len(plants)}
	record := &plantRecord{name: name, disguised: uintptr(reflect.ValueOf(p).Pointer()) ^ disguise}
	plants = append(plants, record)
	runtime.SetFinalizer(p, func(*Plant) { atomic.StoreInt32(&record.dead, 1) })
	return p
}

//go:noinline
func use(*Plant) {}

func describePlants() string {
	var text strings.Builder
	for _, record := range plants {
		state := "live"
		if atomic.LoadInt32(&record.dead) != 0 {
			state = "dead"
		}
		fmt.Fprintf(&text, "%s %#x %s\n", record.name, record.disguised^disguise, state)
	}
	return text.String()
}

type holder struct {
	number int
	p      *Plant
	next   *holder
}

//go:noinline
func useHolder(h *holder) { use(h.p) }

//go:noinline
func blockWith(h *holder) {
	block()
	useHolder(h)
}

//go:noinline
func blockWithArgument(p *Plant, q *Plant) {
	use(q)
	block()
	use(p)
}

func localsAndObjects() {
	start(func() {
		live, dead := plant("local_used_after"), plant("local_not_used_after")
		use(dead)
		block()
		use(live)
	})
	start(func() { blockWithArgument(plant("argument_used_after"), plant("argument_not_used_after")) })
	start(func() { // an object on the stack that only the callee's argument points to
		h := holder{p: plant("stack_object_of_argument")}
		blockWith(&h)
	})
	start(func() { // … through another one
		a := holder{p: plant("stack_object_second")}
		b := holder{p: plant("stack_object_first"), next: &a}
		blockWith(&b)
	})
	start(func() { // address taken before, never again
		h := holder{p: plant("stack_object_forgotten")}
		useHolder(&h)
		block()
	})
	start(func() { // overwritten in one branch
		h := holder{p: plant("stack_object_overwritten")}
		useHolder(&h)
		h = holder{p: plant("stack_object_new")}
		blockWith(&h)
	})
	start(bigObject)
}

// Above 128 KB a program says where its pointers are (through Go 1.23).
type big struct {
	numbers [3]int
	plants  [20000]*Plant
	last    *Plant
}

//go:noinline
func fill(b *big) { b.plants[17777], b.last = plant("big_element"), plant("big_last") }

//go:noinline
func blockWithBig(b *big) {
	block()
	use(b.last)
}

func bigObject() {
	var b big
	fill(&b)
	blockWithBig(&b)
}

func defers() {
	start(func() { // open-coded: in the frame
		p := plant("defer_open_coded")
		defer func() { use(p) }()
		block()
	})
	start(func() { // in a loop: records on the heap
		for i := 0; i < 3; i++ {
			p := plant(fmt.Sprint("defer_in_loop_", i))
			defer func() { use(p) }()
		}
		block()
	})
	start(func() { // blocked in a deferred function, after a panic
		p := plant("panic_defer")
		defer func() { block(); use(p) }()
		panic(plant("panic_value"))
	})
	start(func() { // … recovered
		defer func() {
			value := recover()
			block()
			use(value.(*Plant))
		}()
		panic(plant("panic_recovered"))
	})
	start(func() { faultThenBlock(nil) })
	start(func() { deferWithoutReturn(nil) })
}

// The frame that faulted goes on only at the end, if the deferred function recovers.
//
//go:noinline
func faultThenBlock(h *holder) {
	before := plant("fault_local")
	defer func() { block(); recover() }()
	h.number = 1
	use(before)
}

//go:noinline
func faults(h *holder, p *Plant) {
	h.number++
	use(p)
}

//go:noinline
func deferWithoutReturn(h *holder) {
	kept := plant("fault_caller_local")
	defer func() { block(); use(kept) }()
	faults(h, plant("fault_argument"))
}

type receiver struct{ p *Plant }

func (r receiver) Method(p *Plant, n int) *Plant {
	block()
	use(r.p)
	use(p)
	return p
}

func reflection() {
	start(func() {
		made := reflect.MakeFunc(reflect.TypeOf(use), func(arguments []reflect.Value) []reflect.Value {
			block()
			use(arguments[0].Interface().(*Plant))
			return nil
		}).Interface().(func(*Plant))
		made(plant("reflect_make_func"))
	})
	start(func() {
		method := reflect.ValueOf(receiver{plant("reflect_receiver")}).MethodByName("Method").Interface().(func(*Plant, int) *Plant)
		use(method(plant("reflect_method"), 1))
	})
}

func startPlants() {
	localsAndObjects()
	defers()
	reflection()
	start(func() {
		p := plant("in_system_call")
		var ends [2]int
		syscall.Pipe2(ends[:], 0)
		started <- true
		syscall.Read(ends[0], make([]byte, 1))
		use(p)
	})
}

var stopSpinning int32

// Never calls: the collector stops it between any two instructions, and the core finds it running.
func startSpinner() {
	start(func() {
		p := plant("spinning")
		h := holder{p: plant("spinning_object")}
		useHolder(&h)
		started <- true
		n := 0
		for atomic.LoadInt32(&stopSpinning) == 0 {
			n += p.id + h.number
		}
		useHolder(&h)
		use(p)
	})
}
