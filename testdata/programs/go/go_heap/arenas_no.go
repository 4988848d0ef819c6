//go:build !goexperiment.arenas

package main

func makeArenas() {}
