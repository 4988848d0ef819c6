module typed_heap

go 1.19
