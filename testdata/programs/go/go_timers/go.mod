module heapwalk.test/go_timers

go 1.19
