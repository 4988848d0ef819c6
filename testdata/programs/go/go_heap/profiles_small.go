//go:build small

package main

const hasProfiles = false

func writeProfiles() {}
