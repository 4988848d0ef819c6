// The notes of a core file: what the kernel says about the process besides its memory.
//
//     PRSTATUS ─ PRPSINFO ─ SIGINFO ─ AUXV ─ FILE ─ FPREGSET ─ XSTATE ─┬─ PRSTATUS ─ FPREGSET ─ XSTATE ─┬─ …
//     └ thread 1: the one that crashed, and the process ───────────────┘└ thread 2 ─────────────────────┘
//
// Each note is {name size, description size, type, name, description}, padded to 4 bytes. A PRSTATUS begins a thread,
// the notes that follow belong to it (gdb's gcore writes the process's notes elsewhere, which makes no difference). A
// type that is not known is skipped in silence: every kernel adds some. A note that is cut off, or too small for its
// type, is a diagnostic "malformed_note".
// Source: Linux 6.18 fs/binfmt_elf.c, include/linux/elfcore.h, include/uapi/linux/elf.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dump/arch/arch.h"
#include "dump/base/byte_reader.h"
#include "dump/base/diagnostics.h"
#include "dump/core_dump.h"
#include "dump/module_list.h"
#include "dump/thread.h"

namespace heapwalk {

struct CoreNotes {
  Process process;
  std::vector<Thread> threads;                      // registers filled in, stacks not
  std::vector<std::pair<uint64_t, uint64_t>> auxv;  // without AT_NULL
  std::vector<FileMapping> file_mappings;           // NT_FILE, by address; " (deleted)" removed
};

CoreNotes read_notes(const std::string& path, const Arch& arch, std::span<const Bytes> segments,
                     Diagnostics& diagnostics);

}  // namespace heapwalk
