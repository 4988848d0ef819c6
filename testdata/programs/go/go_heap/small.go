//go:build small

package main

func labelled() {
	local := held("labelled")
	parks()
	<-forever
	use(local)
}

func makeFull() {}
