// x86-64: registers as in `struct user_regs_struct`, fs_base as the thread pointer, a red zone of 128 bytes (System V
// psABI §3.2.2).
//
// Vector registers are roots too: a memcpy or a vectorised move may hold the only copy of a pointer. They come as the
// XSAVE area in its standard format, one component after the other:
//
//     0 ── 160: xmm0…15 ── 464: XCR0 ── 512: XSTATE_BV ── 576: upper halves of ymm0…15 ── … ZMM upper halves, zmm16…31
//
// Where the AVX-512 components lie depends on the CPU: Intel keeps the room of the abandoned MPX registers in between,
// AMD does not. The size of the area tells them apart, on old kernels too. Source: Intel SDM volume 1 chapter 13; Linux
// arch/x86/kernel/fpu/xstate.c.
#include <utility>

#include "dump/arch/arch.h"

namespace heapwalk {
namespace {

constexpr std::array<std::string_view, 27> kRegisters = {
    "r15", "r14",      "r13", "r12", "rbp",    "rbx", "r11", "r10",     "r9",      "r8", "rax", "rcx", "rdx", "rsi",
    "rdi", "orig_rax", "rip", "cs",  "eflags", "rsp", "ss",  "fs_base", "gs_base", "ds", "es",  "fs",  "gs"};
constexpr size_t kPcIndex = 16;
constexpr size_t kSpIndex = 19;
constexpr size_t kFsBaseIndex = 21;

constexpr uint32_t kNoteFpregset = 2;
constexpr uint32_t kNoteXstate = 0x202;

constexpr size_t kXmmOffset = 160;
constexpr size_t kFxsaveSize = 512;
constexpr size_t kStateBitsOffset = 512;
constexpr size_t kAvxOffset = 576;
constexpr size_t kIntelSize = 2688;  // up to the end of zmm16…31 with MPX's room
constexpr size_t kAmdSize = 2432;    // without

constexpr auto kXmm = numbered_names<16, 2>("xmm", 0, 0);
constexpr auto kYmmUpper = numbered_names<16, 2>("ymm", 0, 2);
constexpr auto kZmmUpper = numbered_names<16, 4>("zmm", 0, 4);
constexpr auto kZmmNew = numbered_names<16, 8>("zmm", 16, 0);

// Components of the XSAVE area that hold registers which may hold pointers, by their bit in XSTATE_BV.
constexpr uint64_t kSseBit = 1;
constexpr uint64_t kAvxBit = 2;
constexpr uint64_t kZmmUpperBit = 6;
constexpr uint64_t kZmmNewBit = 7;

void add_lanes(std::span<const RegisterName> names, Bytes area, size_t offset, std::vector<Register>& registers) {
  for (size_t i = 0; i < names.size() && offset + (i + 1) * 8 <= area.size(); ++i)
    registers.push_back({names[i].view(), load<uint64_t>(area.data() + offset + i * 8)});
}

void read_xsave_area(Bytes area, std::vector<Register>& registers) {
  uint64_t present = load<uint64_t>(area.data() + kStateBitsOffset);
  auto has = [&](uint64_t bit) { return ((present >> bit) & 1) != 0; };
  // A component that is not present is in its initial state, all zero: no pointers there.
  if (has(kSseBit)) add_lanes(kXmm, area, kXmmOffset, registers);
  if (has(kAvxBit)) add_lanes(kYmmUpper, area, kAvxOffset, registers);
  bool intel = area.size() >= kIntelSize;
  if (area.size() < kAmdSize) return;
  if (has(kZmmUpperBit)) add_lanes(kZmmUpper, area, intel ? 1152 : 896, registers);
  if (has(kZmmNewBit)) add_lanes(kZmmNew, area, intel ? 1664 : 1408, registers);
}

bool read_note(uint32_t type, Bytes description, Thread& thread) {
  if (type == kNoteFpregset) {
    if (description.size() < kFxsaveSize) return false;
    if (thread.vector_registers.empty()) add_lanes(kXmm, description, kXmmOffset, thread.vector_registers);
    return true;
  }
  if (type == kNoteXstate) {  // more than NT_FPREGSET has: replaces it
    if (description.size() < kAvxOffset) return false;
    thread.vector_registers.clear();
    read_xsave_area(description, thread.vector_registers);
    return true;
  }
  return true;
}

constexpr Arch kArch = {
    .architecture = Architecture::x86_64,
    .elf_machine = 62,
    .name = "x86-64",
    .register_names = kRegisters,
    .pc_index = kPcIndex,
    .sp_index = kSpIndex,
    .thread_pointer_index = kFsBaseIndex,
    .red_zone_bytes = 128,
    .tls_below_thread_pointer = true,
    .read_note = read_note,
};

}  // namespace

const Arch& x86_64_arch() {
  return kArch;
}

}  // namespace heapwalk
