module bench_heap

go 1.19
