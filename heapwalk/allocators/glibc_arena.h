// Finds every malloc_state of the process: the main arenas in libc's data and the rings of thread arenas behind them.
//
// With B the address of bins[0], these relations hold in every glibc from 2.23 to 2.43:
//
//     top B−0x10 · last_remainder B−8 · bins B … B+0x7f0 · binmap B+0x7f0 · next B+0x800 · system_mem B+0x818
//
// and only the distance from the struct's start to B differs (0x70 with fastbins, 0x18 since 2.43, 0x68 before 2.27).
// B itself is found by *closure*: 127 list heads in a row, each of which its first and its last member point back to.
// The ring of arenas goes through struct starts, so walking it once around tells the distance. A `main_arena` symbol,
// where there is one, is a hint that passes the same tests; a symbol is never needed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dump/core_dump.h"

namespace heapwalk::glibc {

struct Arena {
  Address state;             // of malloc_state
  Address bins;              // of its bins[0]
  uint64_t state_bytes = 0;  // its size
  Address top;               // the top chunk; 0 while the arena has no memory yet
  uint64_t system_mem = 0;
  bool is_main = false;
  bool contiguous = true;           // main arena: grown by brk alone
  uint64_t heap_info_bytes = 0;     // thread arena: size of the struct before malloc_state, 0x20 or 0x30
  std::vector<AddressRange> heaps;  // thread arena: its heaps [heap_info, end of committed memory), by address

  bool has_fastbins() const { return bins - state != 0x18; }
  Address fastbins() const { return bins - 0x60; }
};

// One loaded glibc: its main arena first, then the ring. A process has a second one only through dlmopen.
struct Instance {
  std::vector<Arena> arenas;
  const Module* module = nullptr;  // whose data holds the main arena; null when only file mappings are known
  bool by_symbol = false;
  std::string place;  // "libc.so.6", for messages
};

constexpr int kBins = 127;
// How many of the 127 bins at `bins` are closed lists; with `trust_absent`, as far as the core has their members.
int closed_bins(const AddressSpace& memory, Address bins, bool trust_absent = false);

std::vector<Instance> find_instances(const CoreDump& dump, bool use_symbols, Diagnostics& diagnostics);

// Thread arenas found by their heap_info alone: what is left when libc's data is not in the core.
std::vector<Arena> find_orphan_arenas(const CoreDump& dump);

}  // namespace heapwalk::glibc
