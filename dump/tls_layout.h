// Where each module's thread-local storage lies, relative to the thread pointer.
//
//     x86-64     … [ libc ][ libb ][ program ] TP          block = TP − static_offset
//     AArch64    TP [ 16 bytes ][ program ][ libb ] …      block = TP + static_offset
//
// glibc keeps the two numbers, l_tls_modid and l_tls_offset, in private fields of struct link_map, and says where: for
// libthread_db it exports `_thread_db_link_map_l_tls_modid` and `…_offset`, three 32-bit words each: bits, count, offset
// of the field. Stripped libraries have them too: in libc.so.6's .dynsym since 2.34, before in libpthread's .symtab.
// Without them the rules of the ABI give the program's own block (always module 1, always next to the thread pointer).
// Source: glibc 2.36 nptl_db/structs.def, elf/dl-tls.c, csu/libc-tls.c; Drepper, "ELF Handling for TLS", variants I and II.
#pragma once

#include <span>
#include <vector>

#include "dump/address_space.h"
#include "dump/module.h"
#include "dump/thread.h"

namespace heapwalk {

// Fills in TlsTemplate::module_id and ::static_offset. `link_maps[i]` is the address of modules[i]'s struct link_map, 0
// when it has none.
void find_tls_layout(const AddressSpace& memory, Architecture architecture, std::span<const Address> link_maps,
                     std::span<Module> modules);

}  // namespace heapwalk
