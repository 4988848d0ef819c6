//go:build !go1.24

package main

func hasRepeatedTable(map[uint64]*item) bool { return true } // the maps of the time had none
