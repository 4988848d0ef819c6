//go:build !go1.24

package main

func newer() { pin(new([4]*int)) }
