//go:build !small

// What needs more of the standard library than the small program has.
package main

import (
	"container/list"
	"context"
	"os"
	"reflect"
	"runtime/pprof"
	"time"
)

var (
	reflected  any // of types that the program made while it ran: no module has their descriptors
	reflectedN any
	elements   = list.New()
)

func makeFull() {
	fields := []reflect.StructField{
		{Name: "Held", Type: reflect.TypeOf((*node)(nil))},
		{Name: "Padding", Type: reflect.TypeOf([100]uint64{})},
		{Name: "Text", Type: reflect.TypeOf("")},
	}
	kind := reflect.StructOf(fields)
	one := reflect.New(kind)
	inside := newNode(1)
	one.Elem().Field(0).Set(reflect.ValueOf(inside))
	plant("reflect", "reflected", "live", inside)
	reflected = one.Interface()
	many := reflect.MakeSlice(reflect.SliceOf(kind), 7, 7)
	last := newNode(7)
	many.Index(6).Field(0).Set(reflect.ValueOf(last))
	plant("reflect, slice", "reflectedN", "live", last)
	reflectedN = many.Interface()
	table := reflect.MakeMap(reflect.MapOf(reflect.TypeOf(""), kind))
	table.SetMapIndex(reflect.ValueOf("key"), one.Elem())
	anything = append(anything, table.Interface())
	for i := uint64(0); i < 20; i++ {
		object := newNode(i)
		elements.PushBack(object)
		plant("list.List", "elements", "live", object)
	}
}

// A goroutine with labels, which waits for input through the poller.
func labelled() {
	pprof.Do(context.Background(), pprof.Labels("request", "17", "tenant", "blue"), func(context.Context) {
		local := held("labelled")
		in, out, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		parks()
		_, _ = in.Read(make([]byte, 1))
		time.Sleep(time.Hour)
		use(local)
		_ = out.Close()
	})
}
