module heapwalk.test/go_regressions

go 1.19
