// What a CPU changes about a core file: the order of its registers, where the thread pointer is, how far below the
// stack pointer live data may lie, and which bits of a return address are not address.
//
// One file per CPU fills in one `Arch`; the rest of dump/ has no other place that asks which CPU it is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "dump/base/byte_reader.h"
#include "dump/thread.h"

namespace heapwalk {

struct Arch {
  Architecture architecture;
  uint16_t elf_machine;  // e_machine
  std::string_view name;

  // pr_reg of NT_PRSTATUS: 64-bit words in this order, after the 112 bytes that all 64-bit CPUs share.
  std::span<const std::string_view> register_names;
  size_t pc_index;
  size_t sp_index;
  std::optional<size_t> thread_pointer_index;  // nullopt: the thread pointer has a note of its own

  uint64_t red_zone_bytes;  // a leaf function may keep data this far below the stack pointer
  // Where glibc puts struct pthread: at the thread pointer with the static TLS blocks below it (true), or below the
  // thread pointer with the TLS blocks above it. TLS variants II and I of "ELF Handling For Thread-Local Storage".
  bool tls_below_thread_pointer;

  // Takes what a thread's note says about vector registers, the thread pointer or pointer authentication. False when
  // the note is of a known type and its size is wrong. Notes of other types are left alone.
  bool (*read_note)(uint32_t type, Bytes description, Thread& thread);
};

const Arch& x86_64_arch();
const Arch& aarch64_arch();

const Arch* find_arch(uint16_t elf_machine);  // null: not supported
const Arch& arch_of(Architecture architecture);

// Register names with static storage, made at compile time: numbered_names<16, 2>("xmm", 0, 0) is
// "xmm0[0]", "xmm0[1]", "xmm1[0]", …: Count registers from `first` on, of each the Lanes 64-bit lanes from `lane` on.
struct RegisterName {
  std::array<char, 12> text{};
  size_t size = 0;
  constexpr void push(char c) { text[size++] = c; }
  constexpr void push_number(size_t n) {
    if (n >= 10) push(static_cast<char>('0' + n / 10));
    push(static_cast<char>('0' + n % 10));
  }
  constexpr std::string_view view() const { return {text.data(), size}; }
};

template <size_t Count, size_t Lanes>
constexpr std::array<RegisterName, Count * Lanes> numbered_names(std::string_view prefix, size_t first, size_t lane) {
  std::array<RegisterName, Count * Lanes> names{};
  for (size_t i = 0; i < Count * Lanes; ++i) {
    for (char c : prefix) names[i].push(c);
    names[i].push_number(first + i / Lanes);
    names[i].push('[');
    names[i].push_number(lane + i % Lanes);
    names[i].push(']');
  }
  return names;
}

}  // namespace heapwalk
