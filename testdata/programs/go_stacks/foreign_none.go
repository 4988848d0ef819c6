//go:build !foreign

package main

func startForeign() {}
