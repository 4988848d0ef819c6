// Instructions with a variable as operand, as assemblers encode them, and where they lead.
#include "heapwalk/runtimes/go/program/code_references.h"

#include <gtest/gtest.h>

namespace heapwalk::go {
namespace {

constexpr Address kCode{0x401000};
constexpr AddressRange kVariables[] = {{Address{0x500000}, Address{0x501000}}, {Address{0x600000}, Address{0x601000}}};

// The code with a displacement of 4 bytes where the list has kTo, such that the instruction ends `behind` bytes later and
// refers to `target`.
constexpr int kTo = -1;
std::vector<std::byte> amd64(std::initializer_list<int> pattern, uint64_t target) {
  std::vector<std::byte> code;
  size_t at = 0;
  for (int byte : pattern) {
    if (byte == kTo) {
      at = code.size();
      code.resize(at + 4);
    } else {
      code.push_back(static_cast<std::byte>(byte));
    }
  }
  const auto displacement = static_cast<uint32_t>(target - (kCode.value + code.size()));
  for (size_t i = 0; i < 4; ++i) code[at + i] = static_cast<std::byte>(displacement >> 8 * i);
  return code;
}

std::vector<std::byte> arm64(std::initializer_list<uint32_t> instructions) {
  std::vector<std::byte> code;
  for (uint32_t instruction : instructions)
    for (unsigned shift : {0, 8, 16, 24}) code.push_back(static_cast<std::byte>(instruction >> shift));
  return code;
}

std::vector<uint64_t> references(const std::vector<std::byte>& code, Architecture architecture) {
  std::vector<uint64_t> result;
  for (Address at : code_references(code, kCode, architecture, kVariables)) result.push_back(at.value);
  return result;
}

using Addresses = std::vector<uint64_t>;

TEST(GoCodeReferences, Amd64OperandsOfAllLengths) {
  const std::initializer_list<int> patterns[] = {
      {0x48, 0x8b, 0x05, kTo},                 // movq x, ax
      {0x48, 0x89, 0x0d, kTo},                 // movq cx, x
      {0x48, 0x8d, 0x3d, kTo},                 // leaq x, di
      {0x0f, 0xb6, 0x05, kTo},                 // movzx
      {0xf2, 0x0f, 0x10, 0x05, kTo},           // movsd
      {0x83, 0x3d, kTo, 0x00},                 // cmpl x, $0
      {0x80, 0x3d, kTo, 0x01},                 // cmpb x, $1
      {0xc6, 0x05, kTo, 0x01},                 // movb $1, x
      {0x48, 0xc7, 0x05, kTo, 0x00, 0, 0, 0},  // movq $0, x
      {0x66, 0xc7, 0x05, kTo, 0x34, 0x12},     // movw $0x1234, x
      {0x48, 0x81, 0x3d, kTo, 0x00, 0, 1, 0},  // cmpq x, $0x10000
      {0xf7, 0x05, kTo, 0x01, 0, 0, 0},        // testl $1, x
      {0x48, 0xf7, 0x1d, kTo},                 // negq x
      {0xf0, 0x0f, 0xb1, 0x15, kTo},           // lock cmpxchgl
      {0xf0, 0x48, 0x0f, 0xc1, 0x05, kTo},     // lock xaddq
      {0x0f, 0xba, 0x25, kTo, 0x03},           // btl $3, x
      {0x48, 0xff, 0x05, kTo},                 // incq x
  };
  for (const auto& pattern : patterns)
    for (uint64_t target : {0x500000, 0x500ff8, 0x600010}) {
      const auto code = amd64(pattern, target);
      EXPECT_EQ(references(code, Architecture::x86_64), Addresses{target}) << testing::PrintToString(code);
    }
}

TEST(GoCodeReferences, Amd64InOrderAndNothingOutside) {
  auto code = amd64({0x48, 0x8b, 0x05, kTo}, 0x600000);
  code.push_back(std::byte{0x90});
  const auto twice = amd64({0x48, 0x8b, 0x05, kTo}, 0x500000 - 8);  // it lies 8 bytes further on
  code.insert(code.end(), twice.begin(), twice.end());
  const auto outside = amd64({0x48, 0x8b, 0x05, kTo}, 0x700000);
  code.insert(code.end(), outside.begin(), outside.end());
  EXPECT_EQ(references(code, Architecture::x86_64), (Addresses{0x600000, 0x500000}));
  for (size_t size = 0; size < 7; ++size)  // cut off
    EXPECT_EQ(references({code.begin(), code.begin() + static_cast<std::ptrdiff_t>(size)}, Architecture::x86_64),
              Addresses{});
}

TEST(GoCodeReferences, Arm64PairsOfInstructions) {
  // adrp x27, 0x500000: 0xff pages on
  constexpr uint32_t kPage = 0xf00007fb;
  EXPECT_EQ(references(arm64({kPage, 0x91004360}), Architecture::aarch64), Addresses{0x500010});  // add x0, x27, #16
  EXPECT_EQ(references(arm64({kPage, 0xf9400f60}), Architecture::aarch64), Addresses{0x500018});  // ldr x0, [x27, #24]
  EXPECT_EQ(references(arm64({kPage, 0xb9000f60}), Architecture::aarch64), Addresses{0x50000c});  // str w0, [x27, #12]
  EXPECT_EQ(references(arm64({kPage, 0x39400f60}), Architecture::aarch64), Addresses{0x500003});  // ldrb w0, [x27, #3]
  EXPECT_EQ(references(arm64({kPage, 0x91004361, 0xa9400022}), Architecture::aarch64),
            (Addresses{0x500010, 0x500010, 0x500018}));  // add x1, x27, #16; ldp x2, x0, [x1]
  EXPECT_EQ(references(arm64({kPage, 0x91004361, 0xc8dffc22}), Architecture::aarch64),
            (Addresses{0x500010, 0x500010}));  // … ldar x2, [x1]
}

TEST(GoCodeReferences, Arm64ForgetsWhatIsOverwritten) {
  constexpr uint32_t kPage = 0xf00007fb, kLoad = 0xf9400f60;
  EXPECT_EQ(references(arm64({kLoad}), Architecture::aarch64), Addresses{});
  EXPECT_EQ(references(arm64({kPage, 0xaa0003fb, kLoad}), Architecture::aarch64), Addresses{});          // mov x27, x0
  EXPECT_EQ(references(arm64({kPage, 0x94000010, kLoad}), Architecture::aarch64), Addresses{});          // bl
  EXPECT_EQ(references(arm64({kPage, 0xb4000040, kLoad}), Architecture::aarch64), Addresses{0x500018});  // cbz x0
  EXPECT_EQ(references(arm64({kPage, 0xf940037b, kLoad}), Architecture::aarch64),
            Addresses{0x500000});  // ldr x27, [x27]
}

}  // namespace
}  // namespace heapwalk::go
