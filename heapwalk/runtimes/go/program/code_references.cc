#include "heapwalk/runtimes/go/program/code_references.h"

#include <algorithm>
#include <array>
#include <optional>

namespace heapwalk::go {
namespace {

class Collector {
 public:
  explicit Collector(std::span<const AddressRange> variables) : variables_(variables) {}

  bool add(Address address) {
    if (std::ranges::none_of(variables_, [&](AddressRange range) { return range.contains(address); })) return false;
    found_.push_back(address);
    return true;
  }
  std::vector<Address> take() { return std::move(found_); }

 private:
  std::span<const AddressRange> variables_;
  std::vector<Address> found_;
};

// amd64: what stands in front of a modrm byte.
struct Opcode {
  uint8_t byte = 0;
  bool is_escaped = false;  // 0f in front of it
  bool is_16_bit = false;   // operand-size prefix
};

Opcode opcode_before(const uint8_t* code, size_t modrm) {
  Opcode opcode{code[modrm - 1], modrm >= 2 && code[modrm - 2] == 0x0f, false};
  size_t before = modrm - (opcode.is_escaped ? 2 : 1);
  if (before > 0 && (code[before - 1] & 0xf0) == 0x40) --before;  // REX
  opcode.is_16_bit = before > 0 && code[before - 1] == 0x66;
  return opcode;
}

// Whether the one-byte opcode has a modrm byte that Go's code uses with memory.
bool takes_memory(uint8_t opcode) {
  if (opcode < 0x40) return (opcode & 7) < 4;  // add, or, … cmp
  if (opcode >= 0x80 && opcode < 0x90) return true;
  switch (opcode) {
    case 0x63:
    case 0x69:
    case 0x6b:
    case 0xc0:
    case 0xc1:
    case 0xc6:
    case 0xc7:
    case 0xd1:
    case 0xd3:
    case 0xf6:
    case 0xf7:
    case 0xfe:
    case 0xff:
      return true;
    default:
      return false;
  }
}

// How many bytes of immediate follow the displacement.
uint64_t immediate_bytes(Opcode opcode, unsigned extension) {
  if (opcode.is_escaped) {
    constexpr std::array<uint8_t, 8> kWithByte{0x70, 0xa4, 0xac, 0xba, 0xc2, 0xc4, 0xc5, 0xc6};
    return std::ranges::find(kWithByte, opcode.byte) != kWithByte.end() ? 1 : 0;
  }
  const uint64_t word = opcode.is_16_bit ? 2 : 4;
  switch (opcode.byte) {
    case 0x6b:
    case 0x80:
    case 0x83:
    case 0xc0:
    case 0xc1:
    case 0xc6:
      return 1;
    case 0x69:
    case 0x81:
    case 0xc7:
      return word;
    case 0xf6:
      return extension < 2 ? 1 : 0;  // test
    case 0xf7:
      return extension < 2 ? word : 0;
    default:
      return 0;
  }
}

void scan_x86_64(Bytes code, Address begin, Collector& collector) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(code.data());
  for (size_t at = 1; at + 5 <= code.size(); ++at) {
    if ((bytes[at] & 0xc7) != 0x05) continue;
    const Opcode opcode = opcode_before(bytes, at);
    if (!opcode.is_escaped && !takes_memory(opcode.byte)) continue;
    const uint64_t length = 5 + immediate_bytes(opcode, bytes[at] >> 3 & 7);
    const auto displacement = static_cast<uint64_t>(int64_t{load<int32_t>(code.data() + at + 1)});
    if (collector.add(begin + at + length + displacement)) at += length - 1;
  }
}

// arm64: what each register is known to hold.
class Registers {
 public:
  std::optional<Address>& operator[](uint32_t number) { return values_[number & 31]; }
  void forget_all() { values_.fill(std::nullopt); }

 private:
  std::array<std::optional<Address>, 32> values_;
};

uint64_t sign_extended(uint32_t value, unsigned bits) {
  const uint64_t sign = uint64_t{1} << (bits - 1);
  return (uint64_t{value} ^ sign) - sign;
}

constexpr bool matches(uint32_t instruction, uint32_t mask, uint32_t value) {
  return (instruction & mask) == value;
}

// A load or store; false: another instruction. What a load overwrites is no longer known.
bool step_memory(uint32_t instruction, Registers& registers, Collector& collector) {
  const uint32_t target = instruction & 31, second = instruction >> 10 & 31;
  const std::optional<Address> base = registers[instruction >> 5];
  const bool is_vector = (instruction & 0x0400'0000) != 0;
  auto refer = [&](uint64_t offset) {
    if (base) collector.add(*base + offset);
  };
  if (matches(instruction, 0x3b00'0000, 0x3900'0000)) {  // unsigned offset, scaled
    const uint32_t scale = is_vector && (instruction >> 23 & 1) != 0 ? 4 : instruction >> 30;
    refer(uint64_t{instruction >> 10 & 0xfff} << scale);
    if (!is_vector && (instruction >> 22 & 3) != 0) registers[target].reset();
  } else if (matches(instruction, 0x3b20'0c00, 0x3800'0000)) {  // signed offset
    refer(sign_extended(instruction >> 12 & 0x1ff, 9));
    if (!is_vector && (instruction >> 22 & 3) != 0) registers[target].reset();
  } else if (matches(instruction, 0x3a00'0000, 0x2800'0000)) {  // a pair
    const unsigned scale = (instruction >> 31) != 0 ? 3 : 2;
    const uint64_t offset = sign_extended(instruction >> 15 & 0x7f, 7) << scale;
    if (!is_vector) {
      refer(offset);
      refer(offset + (uint64_t{1} << scale));
    }
    if (!is_vector && (instruction >> 22 & 1) != 0) {
      registers[target].reset();
      registers[second].reset();
    }
  } else if (matches(instruction, 0x3f00'0000, 0x0800'0000)) {  // exclusive, acquire, release, compare and swap
    refer(0);
    if ((instruction >> 22 & 1) != 0) registers[target].reset();
  } else if (matches(instruction, 0x3b20'0c00, 0x3820'0000)) {  // atomic arithmetic
    refer(0);
    registers[target].reset();
  } else {
    return false;
  }
  return true;
}

// Branches write no register but the link register.
bool is_branch(uint32_t instruction) {
  return matches(instruction, 0x7c00'0000, 0x1400'0000) || matches(instruction, 0xfe00'0000, 0x5400'0000) ||
         matches(instruction, 0x7c00'0000, 0x3400'0000);
}

void scan_aarch64(Bytes code, Address begin, Collector& collector) {
  Registers registers;
  for (size_t at = 0; at + 4 <= code.size(); at += 4) {
    const auto instruction = load<uint32_t>(code.data() + at);
    const uint32_t target = instruction & 31, source = instruction >> 5 & 31;
    if (matches(instruction, 0x9f00'0000, 0x9000'0000)) {  // adrp
      const uint64_t pages = sign_extended((instruction >> 5 & 0x7ffff) << 2 | (instruction >> 29 & 3), 21);
      registers[target] = (begin + at).align_down(4096) + (pages << 12);
    } else if (matches(instruction, 0xff80'0000, 0x9100'0000) && registers[source]) {  // add an immediate
      const uint64_t value = instruction >> 10 & 0xfff;
      const Address sum = *registers[source] + ((instruction >> 22 & 1) != 0 ? value << 12 : value);
      collector.add(sum);
      registers[target] = sum;
    } else if (step_memory(instruction, registers, collector)) {
      continue;
    } else if (is_branch(instruction)) {
      if (matches(instruction, 0xfc00'0000, 0x9400'0000)) registers.forget_all();  // a call
    } else {
      registers[target].reset();
    }
  }
}

}  // namespace

std::vector<Address> code_references(Bytes code, Address begin, Architecture architecture,
                                     std::span<const AddressRange> variables) {
  Collector collector(variables);
  if (architecture == Architecture::aarch64)
    scan_aarch64(code, begin, collector);
  else
    scan_x86_64(code, begin, collector);
  return collector.take();
}

}  // namespace heapwalk::go
