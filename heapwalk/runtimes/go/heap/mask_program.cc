#include "heapwalk/runtimes/go/heap/mask_program.h"

#include <utility>

#include "heapwalk/runtimes/go/heap/mask_bits.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxProgramBytes = 16 << 20;

std::optional<uint64_t> read_varint(ByteReader& reader) {
  uint64_t value = 0;
  for (int shift = 0; shift < 63; shift += 7) {
    const auto byte = reader.read<uint8_t>();
    if (!byte) return std::nullopt;
    value |= uint64_t{*byte & 0x7fu} << shift;
    if ((*byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

// One instruction. False at the end, or where it cannot be one.
bool run_instruction(ByteReader& program, MaskBits& bits) {
  const auto instruction = program.read<uint8_t>();
  if (!instruction || *instruction == 0) return false;
  uint64_t count = *instruction & 0x7f;
  if ((*instruction & 0x80) == 0) {
    const auto literal = program.read_bytes((count + 7) / 8);
    if (literal) bits.append(*literal, count);
    return literal.has_value();
  }
  if (count == 0) {
    const auto period = read_varint(program);
    if (!period) return false;
    count = *period;
  }
  const auto times = read_varint(program);
  return times && bits.repeat(count, *times);
}

}  // namespace

std::optional<std::vector<uint64_t>> run_mask_program(const AddressSpace& memory, Address program, uint64_t bits) {
  const auto size_bytes = memory.read<uint32_t>(program);
  if (!size_bytes || *size_bytes > kMaxProgramBytes) return std::nullopt;
  ByteReader reader(memory.read_exactly(program + 4, *size_bytes));
  MaskBits mask(bits);
  while (!mask.is_full() && run_instruction(reader, mask)) {
  }
  if (!mask.is_full()) return std::nullopt;
  return std::move(mask).finish();
}

}  // namespace heapwalk::go
