// Maps and channels.
package main

type wide struct { // more than 128 bytes: kept in blocks of their own by maps
	numbers [20]uint64
	held    *node
}

type city struct{ country, name string }

var (
	emptyMap   map[string]int
	smallMap   map[string]*node
	noPointers map[uint32]uint32
	bigMap     map[string]*node // some thousand entries, some deleted
	wideMap    map[uint64]wide
	wideKeys   map[wide]bool
	structMap  map[city][]*node
	anyMap     map[any]any
	setMap     map[uint64]struct{}
	nestedMap  map[string]map[uint64]*node
	clearedMap map[string]*node

	buffered   chan *node
	structChan chan pair[string, *node]
	numberChan chan uint64
	wideChan   chan wide
	closedChan chan *node
	plainChan  chan struct{}
)

func makeMaps() {
	count := uint64(number("maps"))
	emptyMap = make(map[string]int)
	smallMap = map[string]*node{"one": newNode(1), "two": newNode(2)}
	plant("small", "smallMap", "live", smallMap["two"])
	noPointers, bigMap = make(map[uint32]uint32), make(map[string]*node)
	setMap, nestedMap = make(map[uint64]struct{}), make(map[string]map[uint64]*node)
	for i := uint64(0); i < count; i++ {
		noPointers[uint32(i)] = uint32(i * i)
		bigMap[decimal(i)] = newNode(i)
		setMap[i*i] = struct{}{}
	}
	for i := uint64(0); i < count; i += 3 {
		delete(bigMap, decimal(i))
	}
	plant("big", "bigMap", "live", bigMap["19"])
	wideMap, wideKeys, structMap = make(map[uint64]wide), make(map[wide]bool), make(map[city][]*node)
	anyMap = make(map[any]any)
	for i := uint64(0); i < 30; i++ {
		wideMap[i] = wide{held: newNode(i)}
		wideKeys[wide{held: newNode(i)}] = true
		structMap[city{"country", decimal(i)}] = []*node{newNode(i), newNode(i + 1)}
		anyMap[i] = decimal(i)
		anyMap[decimal(i)] = newNode(i)
		inner := map[uint64]*node{i: newNode(i)}
		nestedMap[decimal(i)] = inner
		if i == 29 {
			plant("wide", "wideMap", "live", wideMap[i].held)
			plant("slice", "structMap", "live", structMap[city{"country", decimal(i)}][1])
			plant("nested", "nestedMap", "live", inner[i])
		}
	}
	clearedMap = make(map[string]*node)
	for i := uint64(0); i < 100; i++ {
		clearedMap[decimal(i)] = newNode(i)
	}
	for key := range clearedMap {
		delete(clearedMap, key)
	}
}

func makeChannels() {
	buffered = make(chan *node, 8)
	for i := uint64(0); i < 11; i++ { // 5 of them stay, across the end of the ring
		if i >= 6 {
			<-buffered
		}
		buffered <- newNode(i)
	}
	last := newNode(99)
	buffered <- last
	plant("element", "buffered", "live", last)
	structChan = make(chan pair[string, *node], 3)
	inside := newNode(100)
	structChan <- pair[string, *node]{decimal(100), inside}
	plant("struct element", "structChan", "live", inside)
	numberChan = make(chan uint64, 100)
	numberChan <- 5
	wideChan = make(chan wide, 10)
	wideChan <- wide{held: newNode(101)}
	closedChan = make(chan *node, 2)
	closedChan <- newNode(102)
	close(closedChan)
	plainChan = make(chan struct{})
}
