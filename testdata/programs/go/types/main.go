// What reflection says about many types, for a reader of this program's core to compare with: one line per type, with the
// address of its descriptor, its full name, kind, size and pointer mask, and one per field. Then it aborts.
//
//	T 4e1f20 main.Session struct 432 0110…      a mask has one digit per word, up to the last pointer
//	F Next 8 4e0a00                             of a type above: offset, and the address of its type's descriptor
//	E 4e0a00                                    its element; K: its key
//
// The masks come from the collector's own view of a fresh object (reflect.gcbits, which the run-time has for its tests).
package main

import (
	"bufio"
	"container/list"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"text/template"
	"time"
	"unsafe"
)

type Session struct {
	ID      int
	Next    *Session
	Name    string
	Tags    []string
	Peers   map[string]*Session
	Events  chan *Session
	Handler func(int, ...string) (n int, err error)
	Err     error
	Any     any
	Decoder json.Decoder
	Bits    [4]int32
	_       [0]func()
	embedded
	*list.List
}
type embedded struct{ small, large uint8 }

type Pair[K comparable, V any] struct {
	Key   K
	Value V
	next  *Pair[K, V]
}
type Tree[T any] struct {
	left, right *Tree[T]
	values      []T
}

type (
	Celsius   float64
	Text      string
	Sessions  []Session
	ByName    map[Text]Session
	Callback  func(*Session) <-chan Text
	Alias     = Pair[Text, *json.Encoder]
	Loop      *Loop
	Row       []Row
	Nested    map[string]Nested
	Fn        func(Fn) Fn
	Stringers interface{ String() string }
	Raw       unsafe.Pointer
	Grid      [3][2]*Session
)

type Huge struct { // more pointers than the compiler writes bits for
	number int
	table  [20000]*Session
	middle [3]int
	pairs  [30000]struct {
		n int
		p *int
	}
	last *int
	tail [100]int
}
type HugeArray [50000]struct {
	a, b int
	p    *int
}
type HugeNested struct {
	first  Huge
	second [2]Huge
}
type Many [3000]*int // larger than bits for a small object, smaller than what is made on demand
type BigKey [200]byte
type Big [200]*int

func local() []any {
	type node struct {
		a *int
		b int
	}
	return []any{node{}, Pair[int, node]{}}
}
func other() []any {
	type node struct {
		a int
		b *int
	}
	return []any{node{}, &node{}}
}

var seeds = []any{
	Session{}, &Session{}, Celsius(0), Text(""), Sessions{}, ByName{}, Callback(nil), Alias{}, Loop(nil), Row{},
	Nested{}, Fn(nil), Raw(nil), Grid{}, Tree[map[Text]int]{}, Pair[Celsius, Tree[Text]]{}, Huge{}, HugeArray{},
	HugeNested{}, Many{}, new(Stringers), map[BigKey]Big{}, map[int]bool{}, map[[2]string]any{}, map[float64]struct{}{},
	[]chan<- int{}, [][]*[5]string{}, struct {
		X json.Decoder `tag:"x"`
		y *template.Template
	}{}, func(a int, b ...*Session) {}, complex64(0), complex128(0), uintptr(0), int8(0), uint16(0), float32(0), true,
	[0]*int{}, struct{}{}, [7]struct{ a, b *int }{}, new(any), new(error),
	sync.Map{}, sync.Pool{}, sync.WaitGroup{}, atomic.Pointer[Session]{}, atomic.Value{}, atomic.Int64{},
	time.Timer{}, bufio.Reader{}, template.Template{}, json.Encoder{}, os.File{},
	[1]*Session{}, struct{ p *Session }{}, [1][1]Many{}, struct{ h HugeArray }{},
}

//go:linkname gcbits reflect.gcbits
func gcbits(x any) []byte

var seen = map[reflect.Type]bool{}
var order []reflect.Type

func add(t reflect.Type) {
	if t == nil || seen[t] {
		return
	}
	seen[t] = true
	order = append(order, t)
	switch t.Kind() {
	case reflect.Array, reflect.Chan, reflect.Map, reflect.Pointer, reflect.Slice:
		add(t.Elem())
	}
	switch t.Kind() {
	case reflect.Map:
		add(t.Key())
	case reflect.Struct:
		for i := 0; i < t.NumField(); i++ {
			add(t.Field(i).Type)
		}
	case reflect.Func:
		for i := 0; i < t.NumIn(); i++ {
			add(t.In(i))
		}
		for i := 0; i < t.NumOut(); i++ {
			add(t.Out(i))
		}
	}
}

func address(t reflect.Type) uintptr {
	return (*[2]uintptr)(unsafe.Pointer(&t))[1]
}

// With import paths, which reflection's own String leaves out.
func name(t reflect.Type) string {
	if t.Name() != "" {
		if t.PkgPath() == "" {
			return t.Name()
		}
		return t.PkgPath() + "." + t.Name()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + name(t.Elem())
	case reflect.Slice:
		return "[]" + name(t.Elem())
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), name(t.Elem()))
	case reflect.Map:
		return "map[" + name(t.Key()) + "]" + name(t.Elem())
	case reflect.Chan:
		return map[reflect.ChanDir]string{reflect.BothDir: "chan ", reflect.RecvDir: "<-chan ", reflect.SendDir: "chan<- "}[t.ChanDir()] + name(t.Elem())
	}
	return "?"
}

func mask(t reflect.Type) string {
	text := []byte{}
	if t.Size() == 0 {
		return "-"
	}
	bits := gcbits(reflect.New(t).Interface()) // of the whole slot
	if words := int(t.Size() / 8); len(bits) > words {
		bits = bits[:words]
	}
	for _, bit := range bits {
		text = append(text, '0'+bit)
	}
	for len(text) > 0 && text[len(text)-1] == '0' {
		text = text[:len(text)-1]
	}
	if len(text) == 0 {
		return "-"
	}
	return string(text)
}

var made []any

func main() {
	for _, seed := range append(append(seeds, local()...), other()...) {
		add(reflect.TypeOf(seed))
	}
	sessions := reflect.TypeOf(Session{})
	fields := []reflect.StructField{
		{Name: "A", Type: reflect.TypeOf(0)},
		{Name: "B", Type: reflect.TypeOf(&made)},
		{Name: "C", Type: reflect.ArrayOf(12345, reflect.TypeOf(Pair[int, *int]{}))},
		{Name: "D", Type: reflect.TypeOf("")},
	}
	for _, t := range []reflect.Type{
		reflect.StructOf(fields), reflect.StructOf(fields[:2]), reflect.ArrayOf(77, sessions),
		reflect.MapOf(reflect.TypeOf(Celsius(0)), reflect.TypeOf(Grid{})), reflect.SliceOf(reflect.TypeOf(ByName{})),
		reflect.ChanOf(reflect.RecvDir, sessions), reflect.PointerTo(reflect.TypeOf(Alias{})), reflect.ArrayOf(1, reflect.TypeOf(Huge{})),
		reflect.FuncOf([]reflect.Type{sessions}, []reflect.Type{reflect.TypeOf(0)}, false),
	} {
		made = append(made, reflect.Zero(t).Interface())
		add(t)
	}
	out, err := os.Create(os.Args[1])
	if err != nil {
		panic(err)
	}
	writer := bufio.NewWriter(out)
	for _, t := range order {
		fmt.Fprintf(writer, "T\t%x\t%s\t%s\t%d\t%s\n", address(t), name(t), t.Kind(), t.Size(), mask(t))
		switch t.Kind() {
		case reflect.Array, reflect.Chan, reflect.Map, reflect.Pointer, reflect.Slice:
			fmt.Fprintf(writer, "E\t%x\n", address(t.Elem()))
		}
		switch t.Kind() {
		case reflect.Map:
			fmt.Fprintf(writer, "K\t%x\n", address(t.Key()))
		case reflect.Struct:
			for i := 0; i < t.NumField(); i++ {
				f := t.Field(i)
				fmt.Fprintf(writer, "F\t%s\t%d\t%x\n", f.Name, f.Offset, address(f.Type))
			}
		}
	}
	writer.Flush()
	out.Close()
	syscall.Kill(os.Getpid(), syscall.SIGABRT)
	time.Sleep(time.Minute)
}
