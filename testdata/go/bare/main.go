// Zeroes what a reader of a core does not need of a Go program, so that it compresses: machine code, tables of lines
// and frames (the run-time has its own), and with `none` all debug info.
//
//	go run main.go none|types PROGRAM
package main

import (
	"debug/elf"
	"log"
	"os"
	"strings"
)

func main() {
	keep, path := os.Args[1], os.Args[2]
	program, err := elf.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	for _, section := range program.Sections {
		drop := section.Name == ".text"
		if debug, is := strings.CutPrefix(section.Name, ".debug_"); is {
			drop = keep == "none" || debug == "line" || debug == "frame" || debug == "gdb_scripts"
		}
		if drop && section.Type != elf.SHT_NOBITS {
			clear(content[section.Offset : section.Offset+section.FileSize])
		}
	}
	if err := os.WriteFile(path, content, 0o755); err != nil {
		log.Fatal(err)
	}
}
