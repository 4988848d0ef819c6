//go:build !go1.23

package main

const fateOfChannels = "live"
