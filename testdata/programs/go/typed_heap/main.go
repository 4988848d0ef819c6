// A heap of all shapes, and what every object on it is, written down by the program itself: it walks its own values through
// reflection and notes where they lie. Then it aborts.
//
//	O 12ab00 4e1f20 1      one value at that address, of the type whose descriptor is there
//	O 12cd00 4e1f20 40     room for 40 of them
//	M 12ef00 4e2f00        a map's or channel's own record, of that map or channel type
//	F 12f100 4a0000        a closure, of the function that begins there
//
// Addresses are hexadecimal. Objects that only unsafe pointers lead to, or that are the run-time's own, are not in it.
package main

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

type Shape interface{ Area() float64 }
type Circle struct{ radius float64 }
type Square struct {
	side  float64
	label *string
}

func (c Circle) Area() float64  { return c.radius }
func (s *Square) Area() float64 { return s.side }

type Key struct {
	name string
	id   int
}
type Wide struct {
	words [20]uint64
	next  *Wide
}
type Small struct{ a, b uint8 }
type Node struct {
	id          int
	left, right *Node
	name        string
	tags        []string
	shape       Shape
	any         any
	embedded    Small
}
type Big struct { // more than 512 bytes, with pointers
	nodes [100]*Node
	text  string
}
type List[T any] struct {
	head *Cell[T]
	size int
}
type Cell[T any] struct {
	value T
	next  *Cell[T]
}
type Registry struct {
	mu       sync.Mutex
	byName   map[string]*Node
	byKey    map[Key]Node
	wide     map[int]Wide
	sets     map[int]struct{}
	nested   map[string]map[int][]*Node
	values   map[any]any
	few      map[string]int
	empty    map[string]*Big
	channels []chan *Node
	signals  chan struct{}
	numbers  chan int
	wides    chan Wide
	handlers []func(int) int
	current  atomic.Pointer[Node]
	last     atomic.Value
	shared   sync.Map
	timer    *time.Timer
	ticker   *time.Ticker
	cells    *List[string]
	pairs    *List[Key]
	matrix   [][]float64
	rows     [3]*Big
	bytes    []byte
	part     []Node
	spare    []*Node
	pointers **Node
	bigs     []Big
	strange  any
	raw      []unsafe.Pointer
	value    reflect.Value
}

var registry *Registry
var stack []Shape

func text(i int, words string) string { return fmt.Sprint(words, " of a certain length ", i) }

func node(i int) *Node {
	n := &Node{id: i, name: text(i, "node"), embedded: Small{1, 2}}
	for k := 0; k < i%5; k++ {
		n.tags = append(n.tags, text(k, "tag"))
	}
	switch i % 4 {
	case 0:
		n.shape = Circle{float64(i)}
	case 1:
		label := text(i, "label")
		n.shape = &Square{float64(i), &label}
	case 2:
		n.any = text(i, "boxed")
	case 3:
		n.any = []int{i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6}
	}
	return n
}

func fill(r *Registry) {
	r.byName, r.byKey = map[string]*Node{}, map[Key]Node{}
	r.wide, r.sets = map[int]Wide{}, map[int]struct{}{}
	r.nested, r.values = map[string]map[int][]*Node{}, map[any]any{}
	r.few = map[string]int{"one": 1, "two": 2}
	r.empty = make(map[string]*Big, 100)
	for i := 0; i < 5000; i++ {
		n := node(i)
		n.left = r.current.Load()
		r.current.Store(n)
		r.byName[n.name] = n
		if i%3 == 0 {
			r.byKey[Key{n.name, i}] = *node(i + 10000)
			r.sets[i] = struct{}{}
		}
		if i%50 == 0 {
			r.wide[i] = Wide{next: &Wide{}}
			inner := map[int][]*Node{}
			for k := 0; k < i%20; k++ {
				inner[k] = append(make([]*Node, 0, 3), n, n.left)
			}
			r.nested[text(i, "inner")] = inner
			r.values[text(i, "key")] = node(i)
			r.values[Key{text(i, "k"), i}] = Circle{1}
			r.shared.Store(text(i, "shared"), node(i))
		}
	}
	for i := 0; i < 20; i++ {
		c := make(chan *Node, i)
		if i > 0 {
			c <- node(i)
		}
		r.channels = append(r.channels, c)
		captured, counter := node(i), i
		r.handlers = append(r.handlers, func(k int) int { counter += k; return captured.id + counter })
		r.matrix = append(r.matrix, make([]float64, 10+i))
	}
	r.signals, r.numbers, r.wides = make(chan struct{}, 3), make(chan int, 100), make(chan Wide, 5)
	r.last.Store(node(1))
	r.timer, r.ticker = time.NewTimer(time.Hour), time.NewTicker(time.Hour)
	r.cells, r.pairs = &List[string]{}, &List[Key]{}
	for i := 0; i < 100; i++ {
		r.cells.head = &Cell[string]{text(i, "cell"), r.cells.head}
		r.pairs.head = &Cell[Key]{Key{text(i, "pair"), i}, r.pairs.head}
	}
	for i := range r.rows {
		r.rows[i] = &Big{text: text(i, "row")}
		r.rows[i].nodes[i] = node(i)
	}
	r.bytes = make([]byte, 100000)
	whole := make([]Node, 50)
	for i := range whole {
		whole[i] = *node(i)
	}
	r.part = whole[10:20]
	r.spare = make([]*Node, 3, 1000)
	first := node(7)
	r.pointers = &first
	r.bigs = make([]Big, 20)
	for i := range r.bigs {
		r.bigs[i].text = text(i, "big")
	}
	r.strange = struct {
		a *Node
		b [3]string
	}{node(3), [3]string{text(1, "x"), text(2, "y"), ""}}
	r.value = reflect.ValueOf(node(9))
	for i := 0; i < 1000; i++ {
		stack = append(stack, &Square{side: float64(i)})
	}
}

// ---- the walk

type object struct {
	tag           byte
	address, what uintptr
	count         int
}
type visit struct {
	address uintptr
	t       reflect.Type
}

var objects = make([]object, 0, 1<<18)
var seen = map[visit]bool{}

func descriptor(t reflect.Type) uintptr { return (*[2]uintptr)(unsafe.Pointer(&t))[1] }

func note(tag byte, address uintptr, t reflect.Type, count int) bool {
	if address == 0 || seen[visit{address, t}] {
		return false
	}
	seen[visit{address, t}] = true
	objects = append(objects, object{tag, address, descriptor(t), count})
	return true
}

// Values that the program may not look at by itself, reflection lends by their address.
func lend(v reflect.Value) reflect.Value {
	if v.CanAddr() && !v.CanInterface() {
		return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	}
	return v
}

func walk(v reflect.Value) {
	v = lend(v)
	t := v.Type()
	if pkg := t.PkgPath(); pkg == "time" || pkg == "reflect" {
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && t.Elem().Size() > 0 && note('O', v.Pointer(), t.Elem(), 1) {
			walk(v.Elem())
		}
	case reflect.Slice:
		if v.Cap() == 0 || t.Elem().Size() == 0 || !note('O', v.Pointer(), t.Elem(), v.Cap()) {
			return
		}
		for i := 0; i < v.Len(); i++ {
			walk(v.Index(i))
		}
	case reflect.String:
		if s := v.String(); len(s) > 0 {
			note('O', (*[1]uintptr)(unsafe.Pointer(&s))[0], reflect.TypeOf(byte(0)), len(s))
		}
	case reflect.Array:
		for i := 0; i < v.Len(); i++ {
			walk(v.Index(i))
		}
	case reflect.Struct:
		for i := 0; i < v.NumField(); i++ {
			walk(v.Field(i))
		}
	case reflect.Interface:
		if !v.IsNil() {
			inside(v)
		}
	case reflect.Map:
		if !v.IsNil() && note('M', v.Pointer(), t, 1) {
			for entries := v.MapRange(); entries.Next(); {
				walk(addressable(entries.Key()))
				walk(addressable(entries.Value()))
			}
		}
	case reflect.Chan:
		if !v.IsNil() {
			note('M', v.Pointer(), t, 1)
		}
	case reflect.Func:
		if !v.IsNil() {
			closure := *(*uintptr)(unsafe.Pointer(v.UnsafeAddr()))
			objects = append(objects, object{'F', closure, v.Pointer(), 1})
		}
	}
}

func addressable(v reflect.Value) reflect.Value {
	copied := reflect.New(v.Type()).Elem()
	copied.Set(v)
	return copied
}

// What an interface holds lies behind its second word, unless it is a pointer itself.
func inside(v reflect.Value) {
	held := v.Elem()
	words := *(*[2]uintptr)(unsafe.Pointer(v.UnsafeAddr()))
	switch held.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		walk(addressable(held))
	default:
		if held.Type().Size() > 0 && note('O', words[1], held.Type(), 1) {
			walk(reflect.NewAt(held.Type(), (*[2]unsafe.Pointer)(unsafe.Pointer(v.UnsafeAddr()))[1]).Elem())
		}
	}
}

func main() {
	debug.SetGCPercent(-1)
	registry = &Registry{}
	fill(registry)
	walk(reflect.ValueOf(&registry).Elem())
	walk(reflect.ValueOf(&stack).Elem())
	out, err := os.Create(os.Args[1])
	if err != nil {
		panic(err)
	}
	writer := bufio.NewWriter(out)
	for _, o := range objects {
		fmt.Fprintf(writer, "%c\t%x\t%x\t%d\n", o.tag, o.address, o.what, o.count)
	}
	writer.Flush()
	out.Close()
	syscall.Kill(os.Getpid(), syscall.SIGABRT)
	time.Sleep(time.Minute)
}
