// A server with a leak, under load, until it aborts. Which leak is chosen when it is built:
//
//	-ldflags=-X=main.leak=cache       every login stays in the cache of sessions, which nobody empties
//	-ldflags=-X=main.leak=goroutines  an export that takes too long is given up by its handler; the goroutine that made it waits
//	                                  for ever to hand over what it has
//
// Writes to the file that its argument names how many objects and bytes the leak holds, as it counted them itself.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

var leak = "cache"

const (
	logins  = 4000
	exports = 400
	clients = 4
)

type User struct {
	Name   string
	Groups []string
}

type Session struct {
	ID      string
	User    *User
	Started time.Time
	Scratch []byte
}

type Cache[K comparable, V any] struct {
	mutex   sync.RWMutex
	entries map[K]V
	hits    uint64
}

func (c *Cache[K, V]) put(key K, value V) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.entries[key] = value
}

func (c *Cache[K, V]) drop(key K) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.entries, key)
}

type Row struct {
	Number int
	Cells  []byte
}

type Server struct {
	sessions *Cache[string, *Session]
	mux      *http.ServeMux
}

var server *Server

// What the leak holds, by the server's own count: slots of the allocator, not what was asked for.
var held struct {
	sync.Mutex
	objects, bytes int
}

func slot(size int) int { return cap(append([]byte(nil), make([]byte, size)...)) }

func hold(sizes ...int) {
	held.Lock()
	defer held.Unlock()
	for _, size := range sizes {
		held.objects++
		held.bytes += slot(size)
	}
}

func (s *Server) handleLogin(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("user")
	session := &Session{
		ID:      "session-" + strings.Repeat(name, 2),
		User:    &User{Name: strings.Clone(name), Groups: make([]string, 8)},
		Started: time.Now(),
		Scratch: make([]byte, 3000),
	}
	s.sessions.put(session.ID, session)
	if leak == "cache" {
		hold(72, 40, 8*16, 3000, len(session.ID), len(name))
	} else {
		s.sessions.drop(session.ID)
	}
	fmt.Fprintln(w, session.ID)
}

// Hands over the rows when they are complete; waits for who asked for them.
func (s *Server) export(count int, results chan<- []Row) {
	rows := make([]Row, count)
	for i := range rows {
		rows[i] = Row{Number: i, Cells: make([]byte, 500)}
	}
	if leak == "goroutines" {
		hold(count * 32)
		for range rows {
			hold(500)
		}
	}
	time.Sleep(300 * time.Millisecond)
	results <- rows
}

func (s *Server) handleExport(w http.ResponseWriter, r *http.Request) {
	results := make(chan []Row)
	if leak != "goroutines" {
		results = make(chan []Row, 1)
	}
	go s.export(100, results)
	select {
	case rows := <-results:
		fmt.Fprintln(w, len(rows))
	case <-time.After(time.Millisecond):
		w.WriteHeader(http.StatusGatewayTimeout)
	}
}

func load(address string, first int) {
	client := &http.Client{}
	get := func(path string) {
		response, err := client.Get("http://" + address + path)
		if err != nil {
			panic(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	for i := first; i < logins; i += clients {
		get(fmt.Sprintf("/login?user=user-%05d-%s", i, strings.Repeat("x", i%40)))
	}
	for i := first; i < exports; i += clients {
		get("/export")
	}
}

func main() {
	server = &Server{sessions: &Cache[string, *Session]{entries: map[string]*Session{}}, mux: http.NewServeMux()}
	server.mux.HandleFunc("/login", server.handleLogin)
	server.mux.HandleFunc("/export", server.handleExport)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, server.mux)
	var done sync.WaitGroup
	for i := 0; i < clients; i++ {
		done.Add(1)
		go func(i int) {
			defer done.Done()
			load(listener.Addr().String(), i)
		}(i)
	}
	done.Wait()
	time.Sleep(600 * time.Millisecond)
	runtime.GC()
	if err := os.WriteFile(os.Args[1], []byte(fmt.Sprintf("%d\t%d\n", held.objects, held.bytes)), 0o644); err != nil {
		panic(err)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGABRT)
	time.Sleep(time.Minute)
}
