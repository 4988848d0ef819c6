// Objects of all sizes and shapes, each held by a package variable.
package main

import (
	"sync/atomic"
	"unsafe"
)

// A list element, 32 bytes.
type node struct {
	next  *node
	value uint64
	name  string
}

// 600 bytes and pointers in some of them: beyond 512 bytes a block has a header, and the pattern of the element is
// repeated over the whole block.
type record struct {
	id      uint64
	left    *node
	numbers [60]uint64
	tags    [2]string
	right   *node
	rest    [8]uint64
}

// Pointers only in its first half.
type padded struct {
	first *node
	text  string
	tail  [40]byte
}

// Has more than 128 KB of pointer words: a pointer program until Go 1.23, a mask made on demand since.
type table struct {
	rows [4000]struct {
		key   *node
		count [4]uint64
	}
	last *node
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

type tree[T any] struct {
	left, right *tree[T]
	item        T
}

func (t *tree[T]) insert(item T, less func(a, b T) bool) *tree[T] {
	if t == nil {
		return &tree[T]{item: item}
	}
	if less(item, t.item) {
		t.left = t.left.insert(item, less)
	} else {
		t.right = t.right.insert(item, less)
	}
	return t
}

type shape interface{ area() float64 }
type square struct{ side float64 }
type scaled struct {
	inner shape
	by    *float64
}

func (s square) area() float64  { return s.side * s.side }
func (s *scaled) area() float64 { return s.inner.area() * *s.by }

// Paths as programs have them.
type server struct {
	name  string
	cache *cache
}
type cache struct {
	hits, misses uint64
	entries      map[string]*entry
}
type entry struct {
	session session
	expires int64
}
type session struct {
	user   *user
	buffer []byte
}
type user struct {
	name   string
	groups []string
}

var (
	bySize      [][]byte   // no pointers, one per size
	byPointers  [][]*node  // pointers only, one per size
	tinyBytes   []*[3]byte // several share a 16-byte block
	tinyNumbers []*uint32
	paddeds     []*padded
	records     [][]record
	triples     [][3]*node
	bigBytes    []byte
	bigPointers []*node
	bigTable    *table
	manyUnsafe  unsafe.Pointer // *[20000]*node, and nothing says so
	interior    *uint64        // into the middle of a record
	middle      []byte         // of a block whose start nobody keeps
	words       []string
	substring   string
	pairs       []pair[string, *node]
	numberTree  *tree[int]
	shapes      []shape
	anything    []any
	closures    []func() int
	method      func() float64
	ring        *node // a cycle
	swapped     atomic.Pointer[node]
	service     = &server{cache: &cache{}}
	grown       []*node
)

func newNode(value uint64) *node { return &node{value: value, name: decimal(value)} }

func decimal(value uint64) string {
	var digits [20]byte
	return string(appendNumber(digits[:0], value))
}

// The sizes of all size classes and their neighbours, as multiples of 8.
func sizes() (all []int) {
	for size := 8; size <= 32768+4096; size += 8 + size/64*8 {
		all = append(all, size)
	}
	return append(all, 512, 520, 1024, 32760, 32768, 32776, 40960)
}

func makeObjects() {
	for i, size := range sizes() {
		bySize = append(bySize, make([]byte, size))
		pointers := make([]*node, size/8)
		pointers[0], pointers[len(pointers)-1] = newNode(uint64(i)), newNode(uint64(size))
		byPointers = append(byPointers, pointers)
		plant("pointers", "byPointers", "live", pointers[len(pointers)-1])
	}
	for i := 0; i < 100; i++ {
		tinyBytes = append(tinyBytes, &[3]byte{byte(i)})
		number := uint32(i)
		tinyNumbers = append(tinyNumbers, &number)
		paddeds = append(paddeds, &padded{first: newNode(uint64(i)), text: decimal(uint64(i) * 1000)})
		words = append(words, decimal(uint64(i)*1000003))
		pairs = append(pairs, pair[string, *node]{decimal(uint64(i)), newNode(uint64(i))})
		numberTree = numberTree.insert(i*7919%100, func(a, b int) bool { return a < b })
		grown = append(grown, newNode(uint64(i)))
	}
	for _, count := range []int{1, 2, 13, 54, 55, 200} {
		block := make([]record, count)
		for i := range block {
			block[i] = record{id: uint64(i), left: newNode(1), tags: [2]string{"constant", decimal(uint64(i))}, right: newNode(2)}
		}
		plant("record.right", "records", "live", block[count-1].right)
		records = append(records, block)
	}
	interior = &records[3][20].numbers[7]
	triples = make([][3]*node, 1000)
	triples[999][2] = newNode(999)
	plant("triple", "triples", "live", triples[999][2])
	bigBytes = make([]byte, 1<<20)
	bigPointers = make([]*node, 1<<17)
	bigPointers[1<<16] = newNode(65536)
	plant("big", "bigPointers", "live", bigPointers[1<<16])
	bigTable = new(table)
	bigTable.rows[3999].key, bigTable.last = newNode(3999), newNode(4000)
	plant("table.last", "bigTable", "live", bigTable.last)
	plant("table.key", "bigTable", "live", bigTable.rows[3999].key)
	many := new([20000]*node)
	many[19999] = newNode(19999)
	plant("unsafe", "manyUnsafe", "live", many[19999])
	manyUnsafe = unsafe.Pointer(many)
	middle = make([]byte, 3000)[1000:2000]
	substring = (decimal(1<<62) + decimal(1<<61))[5:25]
	swapped.Store(newNode(5))
	plant("atomic.Pointer", "swapped", "live", swapped.Load())
	service.cache.entries = make(map[string]*entry)
	for i := uint64(0); i < 25; i++ {
		visitor := &user{name: decimal(i), groups: []string{decimal(i), "everybody"}}
		service.cache.entries[decimal(i)] = &entry{session: session{user: visitor, buffer: make([]byte, 4000)}}
		plant("user", "service.cache.entries", "live", visitor)
	}
	makeDynamic()
}

func makeDynamic() {
	factor := new(float64)
	*factor = 2.5
	shapes = append(shapes, square{3}, &square{4}, &scaled{square{5}, factor})
	plant("factor", "shapes", "live", factor)
	held := newNode(77)
	plant("any", "anything", "live", held)
	anything = append(anything, held, 123456789, "a constant", decimal(987654321), [2]*node{held, nil}, []*node{held},
		map[string]*node{"held": held}, error(nil), struct{}{}, 3.25, square{2}, func() {})
	for i := 0; i < 10; i++ {
		captured, counter := newNode(uint64(i)), 0
		closures = append(closures, func() int {
			counter++
			return counter + int(captured.value)
		})
		if i == 9 {
			plant("captured", "closures", "live", captured)
		}
	}
	method = (&scaled{square{6}, factor}).area
	first := newNode(0)
	last := first
	for i := uint64(1); i < 50; i++ {
		last.next = newNode(i)
		last = last.next
	}
	last.next = first
	ring = first
	plant("ring", "ring", "live", last)
}

// Dropped after the last collection: allocated, and reachable from nowhere.
func makeGarbage() {
	for i := 0; i < 50; i++ {
		first, second := newNode(uint64(i)), newNode(uint64(i))
		first.next, second.next = second, first // a cycle
		plant("cycle", "", "garbage", first)
		plant("cycle", "", "garbage", second)
		block := make([]record, 3)
		block[1].left = first
		plant("record", "", "garbage", &block[0])
		sink = block
	}
	large := make([]*node, 10000)
	large[5000] = newNode(5000)
	plant("large", "", "garbage", &large[0])
	plant("large.node", "", "garbage", large[5000])
	sink = large
	sink = nil
}

var sink any
