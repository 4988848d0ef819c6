// runtime.moduledata: what the linker tells the run-time about one Go image (the program; each plugin).
//
//     moduledata ─► pcHeader, ftab, funcnametab …   the line table: functions, files, stack maps        pclntab.h
//                ─► text, types, rodata, gofunc     the bases of what offsets elsewhere count from
//                ─► data, bss + gcdatamask …        which words of the package variables are pointers
//                ─► next
//
// The masks are unrolled when the program starts, into memory of the run-time: they are in the core, never in the binary.
// Source: Go 1.19 … 1.27 runtime/symtab.go (moduledata), runtime/runtime1.go (progToPointerMask).
#pragma once

#include <cstdint>
#include <optional>

#include "dump/core_dump.h"
#include "heapwalk/runtimes/go/program/layout.h"

namespace heapwalk::go {

struct Slice {  // a Go slice's header, as it stands in memory: nothing of it is checked
  Address data;
  uint64_t length = 0;
  uint64_t capacity = 0;
};
std::optional<Slice> read_slice(const AddressSpace& memory, Address at);

// Package variables of one kind, and which of their words the collector takes for pointers: bit i of `mask` is the word
// at range.begin + 8·i. What the mask does not cover is no pointer.
struct MaskedRange {
  AddressRange range;
  uint64_t mask_bits = 0;
  Bytes mask;  // (mask_bits + 7) / 8 bytes; shorter where the core lacks them

  bool is_pointer(uint64_t word) const {
    return word < mask_bits && word / 8 < mask.size() && (static_cast<uint8_t>(mask[word / 8]) >> word % 8 & 1) != 0;
  }
};

struct ModuleData {
  Address address;
  AddressRange text;   // [text, etext)
  AddressRange types;  // run-time type descriptors; offsets of types and of their names count from its begin
  Address rodata;      // offsets of stack objects' masks
  Address gofunc;      // offsets of function data
  Address pc_header;   // the line table's header
  MaskedRange data, bss;
  AddressRange noptrdata, noptrbss;
};

// Null where what stands there cannot be a moduledata: its ranges are empty, inverted or not mapped.
std::optional<ModuleData> read_module_data(const AddressSpace& memory, const Layout& layout, Address at, Address* next);

}  // namespace heapwalk::go
