//go:build !go1.21

package main

func pin(*[4]*int) {}
