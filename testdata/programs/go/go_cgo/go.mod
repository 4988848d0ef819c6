module heapwalk.test/go_cgo

go 1.21
