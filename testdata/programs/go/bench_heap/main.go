// Fills Go's heap for the benchmark and dumps core: a shop whose accounts lead to what servers keep in memory.
//
//	index ─► map[string]*Account ─► Account ─┬─► name, tags, orders ─► lines, notes, totals (some by value, some boxed)
//	tree  ─► left, right ────────► Account   ├─► events: a list, newest first, each with its bytes
//	pages ─► [64]*Account                    ├─► func(int) int: a closure that holds the account's limit
//	feeds ─► channels of events              ├─► friends: anywhere in the heap
//	goroutines ─► batches of accounts        └─► map[int]Rating: one group
//
// What is thrown away on the way leaves holes: one account in eight, and texts.
//
// Usage: bench_heap OBJECTS        prints `truth OBJECTS BYTES` (the run-time's own counts of what is live), then aborts
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"unsafe"
)

type Account struct {
	id          int
	name        string
	tags        []string
	orders      []*Order
	events      *Event
	left, right *Account
	friends     [2]*Account
	payment     Payment
	extra       any
	ratings     map[int]Rating
	limit       func(int) int
}

type Order struct {
	id    int
	buyer *Account
	lines []Line
	note  *string
	total any
}

type Line struct {
	item  string
	count int
	price float64
}

type Event struct {
	next *Event
	at   int64
	body []byte
}

type Rating struct {
	stars int
	text  string
}

type Payment interface{ Fee(cents int) int }
type Card struct{ digits, month, year int }
type Transfer struct {
	bank  string
	owner *Account
}

func (c Card) Fee(cents int) int      { return cents / c.year }
func (t *Transfer) Fee(cents int) int { return cents / len(t.bank) }

type Page struct {
	accounts [64]*Account
	label    string
	before   *Page
}

var (
	index = map[string]*Account{}
	tree  *Account
	pages *Page
	feeds []chan *Event
	items = []string{"tea", "coffee", "cups", "a pot", "a tray of cakes"}
	known []*Account // to find friends in
	seed  = uint64(88172645463325252)
	sink  []byte
)

func random(below int) int {
	seed ^= seed << 13
	seed ^= seed >> 7
	seed ^= seed << 17
	return int(seed % uint64(below))
}

func newOrder(id int, buyer *Account) *Order {
	order := &Order{id: id, buyer: buyer, lines: make([]Line, 1+random(4))}
	for i := range order.lines {
		order.lines[i] = Line{items[random(len(items))], i, float64(id)}
	}
	if id%3 == 0 {
		note := "deliver to " + strconv.Itoa(id)
		order.note = &note
	}
	switch id % 4 {
	case 0:
		order.total = id * 1000
	case 1:
		order.total = strconv.Itoa(id) + " EUR"
	case 2:
		order.total = &order.lines[0]
	}
	return order
}

func newAccount(id int) *Account {
	limit := id * 3
	account := &Account{id: id, name: "account " + strconv.Itoa(id)}
	account.limit = func(cents int) int { return cents + limit + len(account.name) }
	for i := random(4); i >= 0; i-- {
		account.orders = append(account.orders, newOrder(id*4+i, account))
	}
	for i := random(5); i >= 0; i-- {
		account.events = &Event{account.events, int64(id + i), make([]byte, 16+random(90))}
	}
	if id%2 == 0 {
		account.payment = Card{id, id % 12, 2030}
		account.tags = []string{"new", "tag " + strconv.Itoa(id)}
	} else {
		account.payment = &Transfer{"a bank", account}
	}
	if id%5 == 0 {
		account.ratings = map[int]Rating{1: {5, "good"}, 2: {random(6), strconv.Itoa(id)}}
	}
	if id%7 == 0 {
		account.extra = []float64{1, 2, 3}
	}
	return account
}

// Below the root, at a place that the number's bits say.
func plant(account *Account) {
	place := &tree
	for bits := uint64(account.id) * 0x9e3779b97f4a7c15; *place != nil; bits = bits<<1 | bits>>63 {
		if bits>>63 == 0 {
			place = &(*place).left
		} else {
			place = &(*place).right
		}
	}
	*place = account
}

func keep(account *Account) {
	id := account.id
	known = append(known, account)
	for i := range account.friends {
		account.friends[i] = known[random(len(known))]
	}
	if id%4 == 0 {
		index[account.name] = account
	}
	plant(account)
	if id%64 == 1 || pages == nil {
		pages = &Page{label: "page " + strconv.Itoa(id), before: pages}
	}
	pages.accounts[id%64] = account
	if id%100 == 0 {
		feed := make(chan *Event, 8)
		feed <- account.events
		feeds = append(feeds, feed)
	}
}

func wait(ready chan<- bool, forever <-chan *Account, batch []*Account) {
	ready <- true
	account := <-forever
	fmt.Println(account, len(batch))
}

func startGoroutines(count int) {
	ready, forever := make(chan bool), make(chan *Account)
	for i := 0; i < count; i++ {
		batch := make([]*Account, 100)
		for j := range batch {
			batch[j] = newAccount(random(1 << 30))
		}
		go wait(ready, forever, batch)
		<-ready
	}
}

func objects() uint64 {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return memory.HeapObjects
}

// With the signal's default action the kernel dumps the process as it is; the call is raw, so that the run-time does not know.
func abort() {
	const sigAbort = 6
	var action struct{ handler, flags, restorer, mask uintptr }
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, sigAbort, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	self, _, _ := syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
	thread, _, _ := syscall.RawSyscall(syscall.SYS_GETTID, 0, 0, 0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_TGKILL, self, thread, sigAbort)
}

func main() {
	wanted, err := strconv.ParseUint(os.Args[1], 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, "usage: bench_heap OBJECTS")
		os.Exit(2)
	}
	debug.SetGCPercent(50)
	startGoroutines(int(wanted / 50000))
	for id := 0; ; id++ {
		account := newAccount(id)
		if random(8) != 0 {
			keep(account)
		}
		sink = append([]byte(nil), account.name...)
		if id%2048 == 0 && objects() >= wanted {
			runtime.GC() // what is counted may be garbage
			if objects() >= wanted {
				break
			}
		}
	}
	debug.SetGCPercent(-1)
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	fmt.Println("truth", memory.HeapObjects, memory.HeapAlloc)
	abort()
}
