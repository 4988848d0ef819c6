// The heap of a program without symbols, and the map of arenas that proves it.
//
//     mheap_ { allspans, arenas } ─► span { first page } ─► arenas[number of the arena].spans[page] ─► the same span
//
// Source: Go 1.19 … 1.27 runtime/mheap.go (mheap, heapArena, arenaIndex), malloc.go (heapArenaBytes, arenaBaseOffset).
#pragma once

#include <cstdint>
#include <optional>

#include "dump/core_dump.h"
#include "heapwalk/runtimes/go/program/layout.h"
#include "heapwalk/runtimes/go/program/module_data.h"

namespace heapwalk::go {

constexpr uint64_t kArenaBytes = uint64_t{64} << 20;
constexpr uint64_t kArenas = uint64_t{1} << 22;    // 48 bits of address, one level (Linux, 64 bits)
constexpr uint64_t kMaxSpans = uint64_t{1} << 28;  // 2 TiB of one-page spans

// Arenas are numbered from the lowest address: that is −2^47 on amd64, whose addresses are signed.
constexpr uint64_t arena_base(Architecture architecture) {
  return architecture == Architecture::x86_64 ? 0xffff'8000'0000'0000 : 0;
}

// runtime.mheap_: the only place in the program's data whose list of spans and map of arenas agree.
std::optional<Address> search_heap(const AddressSpace& memory, const Layout& layout, const ModuleData& module);

}  // namespace heapwalk::go
