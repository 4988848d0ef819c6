package main

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"strings"
)

// Structures, named arrays, struct-typed variables and constants of one program.
type debugInfo struct {
	structs   map[string]*dwarf.StructType // by the type's, or "var " and the variable's, name
	strides   map[string]int64             // of named array types
	constants map[string]int64
}

// Offset and width in bytes.
type place struct{ offset, width int64 }

func readDebugInfo(path string) (*debugInfo, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := file.DWARF()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	info := &debugInfo{map[string]*dwarf.StructType{}, map[string]int64{}, map[string]int64{}}
	for reader := data.Reader(); ; {
		entry, err := reader.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if entry == nil {
			return info, nil
		}
		if err := info.add(data, entry); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if entry.Tag != dwarf.TagCompileUnit {
			reader.SkipChildren()
		}
	}
}

func (info *debugInfo) add(data *dwarf.Data, entry *dwarf.Entry) error {
	name, _ := entry.Val(dwarf.AttrName).(string)
	offset := entry.Offset
	switch entry.Tag {
	case dwarf.TagStructType, dwarf.TagTypedef:
	case dwarf.TagVariable:
		var has bool
		if offset, has = entry.Val(dwarf.AttrType).(dwarf.Offset); !has {
			return nil
		}
		name = "var " + name
	case dwarf.TagConstant:
		if value, is := entry.Val(dwarf.AttrConstValue).(int64); is {
			info.constants[name] = value
		}
		return nil
	default:
		return nil
	}
	if !wanted[name] {
		return nil
	}
	kind, err := data.Type(offset)
	if err != nil {
		return err
	}
	switch kind := base(kind).(type) {
	case *dwarf.StructType:
		info.structs[name] = kind
	case *dwarf.ArrayType:
		info.strides[name] = kind.Type.Size()
	}
	return nil
}

func base(kind dwarf.Type) dwarf.Type {
	for {
		if named, is := kind.(*dwarf.TypedefType); is {
			kind = named.Type
		} else {
			return kind
		}
	}
}

// The place of a.b.c; false: there is no such field.
func find(in *dwarf.StructType, path string) (place, bool) {
	first, rest, nested := strings.Cut(path, ".")
	for _, field := range in.Field {
		if field.Name != first {
			continue
		}
		if !nested {
			return place{field.ByteOffset, field.Type.Size()}, true
		}
		if inner, is := base(field.Type).(*dwarf.StructType); is {
			found, has := find(inner, rest)
			return place{found.offset + field.ByteOffset, found.width}, has
		}
	}
	return place{}, false
}
