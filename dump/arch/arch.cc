#include "dump/arch/arch.h"

namespace heapwalk {

const Arch* find_arch(uint16_t elf_machine) {
  for (const Arch* arch : {&x86_64_arch(), &aarch64_arch()})
    if (arch->elf_machine == elf_machine) return arch;
  return nullptr;
}

const Arch& arch_of(Architecture architecture) {
  return architecture == Architecture::aarch64 ? aarch64_arch() : x86_64_arch();
}

}  // namespace heapwalk
