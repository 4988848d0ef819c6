// AArch64: x0–x30, sp, pc and pstate in NT_PRSTATUS; the thread pointer TPIDR_EL0 in a note of its own.
//
// The ABI has no red zone. Return addresses may be signed (pointer authentication): their upper bits then hold a code
// instead of the sign extension, and NT_ARM_PAC_MASK says which bits; clearing them gives a user-space address back.
// Source: Linux arch/arm64/kernel/ptrace.c and Documentation/arch/arm64/pointer-authentication.rst; AAPCS64.
#include "dump/arch/arch.h"

namespace heapwalk {
namespace {

constexpr std::array<std::string_view, 34> kRegisters = {
    "x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",    "x10", "x11",
    "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",   "x22", "x23",
    "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",  "pc",  "pstate"};
constexpr size_t kSpIndex = 31;
constexpr size_t kPcIndex = 32;

constexpr uint32_t kNoteFpregset = 2;
constexpr uint32_t kNoteTls = 0x401;
constexpr uint32_t kNotePacMask = 0x406;

constexpr auto kVector = numbered_names<32, 2>("v", 0, 0);  // user_fpsimd_state begins with v0…v31

bool read_note(uint32_t type, Bytes description, Thread& thread) {
  switch (type) {
    case kNoteFpregset:
      if (description.size() < kVector.size() * 8) return false;
      thread.vector_registers.clear();
      for (size_t i = 0; i < kVector.size(); ++i)
        thread.vector_registers.push_back({kVector[i].view(), load<uint64_t>(description.data() + i * 8)});
      return true;
    case kNoteTls:  // TPIDR_EL0; newer kernels add TPIDR2
      if (description.size() < 8) return false;
      thread.thread_pointer = Address{load<uint64_t>(description.data())};
      return true;
    case kNotePacMask:  // data mask, instruction mask
      if (description.size() < 16) return false;
      thread.code_pointer_mask = load<uint64_t>(description.data() + 8);
      return true;
    default:
      return true;
  }
}

constexpr Arch kArch = {
    .architecture = Architecture::aarch64,
    .elf_machine = 183,
    .name = "AArch64",
    .register_names = kRegisters,
    .pc_index = kPcIndex,
    .sp_index = kSpIndex,
    .thread_pointer_index = std::nullopt,
    .red_zone_bytes = 0,
    .tls_below_thread_pointer = false,
    .read_note = read_note,
};

}  // namespace

const Arch& aarch64_arch() {
  return kArch;
}

}  // namespace heapwalk
