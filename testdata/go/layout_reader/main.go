// The program behind testdata/go/layouts; see there.
//
//	layout_fields.txt ─► rows ─┐
//	layout_probe × toolchain ──┴─► one column per release ─► layout_table.inc (amd64)
//	                                                         layout_table_arm64.inc (rows that differ there)
//
// Releases had build options under which the run-time keeps other structures (maps without Swiss tables, say). What
// the usual build does not have is taken from a build with those options.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const firstMinor, lastMinor = 19, 27

var experiments = map[int]string{24: "noswissmap", 25: "noswissmap,greenteagc"}

// One line of layout_fields.txt.
type group struct {
	name   string
	types  []string // aliases
	fields [][]string
	needed bool // the first field must exist
}

// One row of the table, in one release.
type row struct{ enumerator, text string }

type column map[string]place // by enumerator

var wanted = map[string]bool{} // names of types

func main() {
	log.SetFlags(0)
	here, arguments := os.Args[1], os.Args[2:]
	groups := readGroups(filepath.Join(here, "layout_fields.txt"))
	if len(arguments) == 2 && arguments[0] == "--print" {
		_, columns := readToolchain(here, arguments[1], groups, []string{"amd64"})
		for _, row := range rows(groups) {
			if at, has := columns["amd64"][row.enumerator]; has {
				fmt.Println(row.enumerator, at.width, at.offset)
			}
		}
		return
	}
	amd64, arm64 := map[int]column{}, map[int]column{}
	for _, root := range arguments {
		minor, columns := readToolchain(here, root, groups, []string{"amd64", "arm64"})
		if amd64[minor] != nil {
			log.Fatalf("%s: Go 1.%d a second time", root, minor)
		}
		amd64[minor], arm64[minor] = columns["amd64"], columns["arm64"]
	}
	for minor := firstMinor; minor <= lastMinor; minor++ {
		if amd64[minor] == nil {
			log.Fatalf("no toolchain of Go 1.%d given", minor)
		}
	}
	folder := filepath.Join(here, "../../heapwalk/runtimes/go/program")
	write(filepath.Join(folder, "layout_table.inc"), groups, amd64, nil)
	write(filepath.Join(folder, "layout_table_arm64.inc"), groups, arm64, amd64)
}

func readGroups(path string) (groups []group) {
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		head, tail, found := strings.Cut(lines.Text(), ":")
		if !found || strings.HasPrefix(head, "#") {
			continue
		}
		name, types, named := strings.Cut(head, " = ")
		if !named {
			types, name = head, strings.Split(head, "|")[0]
			name = strings.TrimLeft(name[strings.LastIndex(name, ".")+1:], "_")
		}
		g := group{name: name, types: strings.Split(types, "|")}
		for i, field := range strings.Fields(tail) {
			if i == 0 && strings.HasSuffix(field, "!") {
				g.needed = true
				field = strings.TrimSuffix(field, "!")
			}
			g.fields = append(g.fields, strings.Split(field, "|"))
		}
		for _, name := range g.types {
			wanted[name] = true
		}
		groups = append(groups, g)
	}
	return groups
}

func (g group) isConstants() bool { return strings.HasPrefix(g.types[0], "const ") }

func (g group) row(field []string) row {
	name := strings.TrimLeft(strings.ReplaceAll(field[0], ".", "_"), "_")
	from := strings.TrimPrefix(g.types[0], "var ")
	switch {
	case g.isConstants():
		return row{name, strings.TrimPrefix(g.types[0], "const ") + "." + field[0]}
	case field[0] == "@stride":
		return row{g.name + "_stride", "stride of " + from}
	case field[0] != "@size":
		return row{g.name + "_" + name, from + "." + field[0]}
	}
	for _, other := range g.fields {
		if other[0] == "size" {
			return row{g.name + "_sizeof", "sizeof " + from}
		}
	}
	return row{g.name + "_size", "sizeof " + from}
}

func rows(groups []group) (all []row) {
	seen := map[string]bool{}
	for _, g := range groups {
		for _, field := range g.fields {
			row := g.row(field)
			if seen[row.enumerator] {
				log.Fatalf("layout_fields.txt: %s twice", row.enumerator)
			}
			seen[row.enumerator] = true
			all = append(all, row)
		}
	}
	return all
}

// Where the structures of one build have their fields.
func (info *debugInfo) column(groups []group) column {
	found := column{}
	for _, g := range groups {
		if g.isConstants() {
			for _, name := range g.fields {
				full := strings.TrimPrefix(g.types[0], "const ") + "." + name[0]
				if value, has := info.constants[full]; has {
					found[g.row(name).enumerator] = place{value, 0}
				}
			}
			continue
		}
		for _, name := range g.types {
			if stride, has := info.strides[name]; has && g.fields[0][0] == "@stride" {
				found[g.row(g.fields[0]).enumerator] = place{stride, 0}
			} else if info.addStruct(found, g, name) {
				break
			}
		}
	}
	return found
}

func (info *debugInfo) addStruct(found column, g group, name string) bool {
	kind := info.structs[name]
	if kind == nil || kind.ByteSize <= 0 {
		return false
	}
	for i, aliases := range g.fields {
		if aliases[0] == "@size" {
			found[g.row(aliases).enumerator] = place{kind.ByteSize, 0}
			continue
		}
		any := false
		for _, alias := range aliases {
			if at, has := find(kind, alias); has {
				found[g.row(aliases).enumerator] = at
				any = true
				break
			}
		}
		if i == 0 && g.needed && !any {
			return false
		}
	}
	return true
}

func readToolchain(here, root string, groups []group, cpus []string) (int, map[string]column) {
	version, err := os.ReadFile(filepath.Join(root, "VERSION"))
	parts := strings.Split(strings.Fields(string(version) + " ?")[0], ".")
	if err != nil || len(parts) < 2 {
		log.Fatalf("%s: no Go toolchain (%v)", root, err)
	}
	minor, err := strconv.Atoi(parts[1])
	if err != nil || minor < firstMinor {
		log.Fatalf("%s: Go 1.%s, want 1.%d or newer", root, parts[1], firstMinor)
	}
	columns := map[string]column{}
	for _, cpu := range cpus {
		columns[cpu] = build(here, root, cpu, "").column(groups)
		if options, has := experiments[minor]; has {
			for name, at := range build(here, root, cpu, options).column(groups) {
				if _, has := columns[cpu][name]; !has {
					columns[cpu][name] = at
				}
			}
		}
	}
	return minor, columns
}

func build(here, root, cpu, experiments string) *debugInfo {
	folder, err := os.MkdirTemp("", "layout_probe")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	program := filepath.Join(folder, "probe")
	command := exec.Command(filepath.Join(root, "bin/go"), "build", "-o", program, ".")
	command.Dir = filepath.Join(here, "layout_probe")
	command.Env = append(os.Environ(), "GOROOT="+root, "GOOS=linux", "GOARCH="+cpu, "GOEXPERIMENT="+experiments,
		"GOTOOLCHAIN=local", "CGO_ENABLED=0", "GO111MODULE=on")
	if output, err := command.CombinedOutput(); err != nil {
		log.Fatalf("%s: %v\n%s", root, err, output)
	}
	info, err := readDebugInfo(program)
	if err != nil {
		log.Fatal(err)
	}
	return info
}

// All rows, or those that differ from `base`.
func write(path string, groups []group, columns, base map[int]column) {
	var text strings.Builder
	text.WriteString("// Made by testdata/go/layouts: LAYOUT_ROW(field, name, (width…), offset in 1.19, …, 1.27).\n")
	text.WriteString("// One width for all releases, or one each; na: the release has no such field.\n")
	for _, row := range rows(groups) {
		offsets, widths, distinct, differs := []string{}, []string{}, map[string]bool{}, false
		for minor := firstMinor; minor <= lastMinor; minor++ {
			at, has := columns[minor][row.enumerator]
			differs = differs || at != base[minor][row.enumerator]
			if !has {
				offsets, widths = append(offsets, "na"), append(widths, "0")
				continue
			}
			offsets = append(offsets, strconv.FormatInt(at.offset, 10))
			widths = append(widths, strconv.FormatInt(at.width, 10))
			distinct[widths[len(widths)-1]] = true
		}
		if base != nil && !differs {
			continue
		}
		if len(distinct) == 0 {
			log.Printf("%s: in no release", row.text)
		}
		if len(distinct) == 1 {
			for width := range distinct {
				widths = []string{width}
			}
		}
		fmt.Fprintf(&text, "LAYOUT_ROW(%s, \"%s\", (%s), %s)\n", row.enumerator, row.text, strings.Join(widths, ", "),
			strings.Join(offsets, ", "))
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		log.Fatal(err)
	}
}
