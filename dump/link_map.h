// The dynamic linker's own list of what it loaded.
//
//     PT_DYNAMIC of the program ─ DT_DEBUG ─► struct r_debug { version, r_map, …, r_next }
//                                                                 │               └► next namespace (dlmopen)
//                                                                 ▼
//                                             struct link_map { l_addr, l_name, l_ld, l_next, l_prev } ─► …
//
// Debuggers are its readers, so the five words of a link_map are the same in glibc and musl. l_addr is the bias.
// The memory is the process's and may be corrupt: the walk is bounded and stops at an entry seen before.
// Source: glibc 2.36 elf/link.h; musl 1.2 include/link.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dump/address_space.h"
#include "dump/base/diagnostics.h"

namespace heapwalk {

struct LinkMapEntry {
  Address address;  // of the struct link_map itself: glibc keeps private fields behind the five public words
  uint64_t bias = 0;
  std::string name;  // empty for the main program under glibc
  Address dynamic;   // l_ld
};

// The value of DT_DEBUG in the dynamic section at `dynamic`; nullopt when there is none, it is 0, or unreadable.
std::optional<Address> find_debug_structure(const AddressSpace& memory, Address dynamic);

// True when a plausible r_debug with at least one entry lies there.
bool is_debug_structure(const AddressSpace& memory, Address r_debug);

// All entries of all namespaces, in load order: the main program first. A list that breaks off is counted as
// "broken_link_map".
std::vector<LinkMapEntry> read_link_map(const AddressSpace& memory, Address r_debug, Diagnostics& diagnostics);

}  // namespace heapwalk
