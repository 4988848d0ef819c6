module heapwalk.test/held

go 1.19
