#include "dwarf/location.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/core_builder.h"

namespace heapwalk {
namespace {

using Kind = LocationPiece::Kind;

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

std::optional<LocationExpression> parse(const std::vector<std::byte>& bytes) {
  return LocationExpression::parse(
      bytes, [](uint64_t index) { return index < 3 ? std::optional(0x4000 + index * 0x10) : std::nullopt; });
}

// A frame with the CFA 0x7000, rbx = 0x1111, rbp = 0x6ff0, and a word of memory: at 0x6fe0 stands 0x8888.
class Locations : public testing::Test {
 protected:
  Locations() {
    builder_.map(0x6000, 0x1000).word(0x6fe0, 0x8888).thread({.tid = 1, .sp = 0x6800, .pc = 0x100});
    dump_ = std::make_unique<CoreDump>(builder_.open());
    registers_.set(3, 0x1111);
    registers_.set(6, 0x6ff0);
    frame_ = {
        .memory = &dump_->memory, .registers = &registers_, .cfa = 0x7000, .frame_base = &base_, .bias = 0x100000};
  }

  std::expected<std::vector<LocationPiece>, NoLocation> at(std::initializer_list<int> expression) const {
    auto parsed = parse(bytes_of(expression));
    return parsed ? locate(*parsed, frame_) : std::unexpected(NoLocation::damaged);
  }
  // The only piece.
  LocationPiece one(std::initializer_list<int> expression) const {
    auto pieces = at(expression);
    EXPECT_TRUE(pieces && pieces->size() == 1);
    return pieces && pieces->size() == 1 ? pieces->front() : LocationPiece{};
  }
  // The top of the stack as a value.
  uint64_t computed(std::initializer_list<int> expression) const {
    std::vector<std::byte> bytes = bytes_of(expression);
    bytes.push_back(std::byte{0x9f});
    auto parsed = parse(bytes);
    auto pieces = parsed ? locate(*parsed, frame_) : std::unexpected(NoLocation::damaged);
    EXPECT_TRUE(pieces && pieces->front().kind == Kind::value);
    return pieces ? pieces->front().value : 0;
  }
  NoLocation failure(std::initializer_list<int> expression) const {
    auto pieces = at(expression);
    EXPECT_FALSE(pieces);
    return pieces ? NoLocation::unsupported : pieces.error();
  }

  test::CoreBuilder builder_;
  std::unique_ptr<CoreDump> dump_;
  FrameRegisters registers_;
  LocationExpression base_ = *parse(bytes_of({0x9c}));  // the CFA
  FrameContext frame_;
};

TEST_F(Locations, MemoryRegistersAndValues) {
  LocationPiece piece = one({0x91, 0x68});  // fbreg −24
  EXPECT_EQ(piece.kind, Kind::memory);
  EXPECT_EQ(piece.value, 0x6fe8u);
  EXPECT_EQ(piece.size_bytes, 0u);

  piece = one({0x53});  // rbx
  EXPECT_EQ(piece.kind, Kind::register_);
  EXPECT_EQ(piece.number, 3u);
  EXPECT_EQ(piece.value, 0x1111u);
  EXPECT_EQ(one({0x90, 3}).number, 3u);  // regx

  EXPECT_EQ(one({0x76, 0x70}).value, 0x6fe0u);           // breg6 −16
  EXPECT_EQ(one({0x92, 6, 0x70}).value, 0x6fe0u);        // bregx
  EXPECT_EQ(one({0x76, 0x70, 0x06}).value, 0x8888u);     // deref: the address is there
  EXPECT_EQ(one({0x73, 0x10, 0x9f}).kind, Kind::value);  // breg3 +16, stack_value
  EXPECT_EQ(one({0x73, 0x10, 0x9f}).value, 0x1121u);

  EXPECT_EQ(one({0x03, 0, 0x20, 0, 0, 0, 0, 0, 0}).value, 0x102000u);  // addr, at the module's bias
  EXPECT_EQ(one({0xa1, 2}).value, 0x104020u);                          // addrx
  EXPECT_EQ(computed({0xa2, 1}), 0x4010u);                             // constx: no address
  piece = one({0x9e, 4, 0x78, 0x56, 0x34, 0x12});                      // implicit_value
  EXPECT_EQ(piece.kind, Kind::value);
  EXPECT_EQ(piece.value, 0x12345678u);
}

TEST_F(Locations, TheFrameBaseMayBeARegisterOrAnExpression) {
  base_ = *parse(bytes_of({0x56}));  // clang without optimisation: rbp
  EXPECT_EQ(one({0x91, 0x78}).value, 0x6fe8u);
  base_ = *parse(bytes_of({0x76, 0x10}));  // rbp + 16
  EXPECT_EQ(one({0x91, 0}).value, 0x7000u);
  base_ = *parse(bytes_of({0x91, 0}));  // itself
  EXPECT_EQ(failure({0x91, 0}), NoLocation::unknown_register);
  frame_.frame_base = nullptr;
  EXPECT_EQ(failure({0x91, 0}), NoLocation::unknown_register);
}

TEST_F(Locations, PiecesOfWhichSomeAreUnknown) {
  // rbx, 8 bytes; nothing, 4 bytes; rcx (unknown), 8 bytes; CFA − 8, 8 bytes
  auto pieces = at({0x53, 0x93, 8, 0x93, 4, 0x52, 0x93, 8, 0x91, 0x78, 0x93, 8});
  ASSERT_TRUE(pieces);
  ASSERT_EQ(pieces->size(), 2u);
  EXPECT_EQ((*pieces)[0].kind, Kind::register_);
  EXPECT_EQ((*pieces)[0].offset_bytes, 0u);
  EXPECT_EQ((*pieces)[0].size_bytes, 8u);
  EXPECT_EQ((*pieces)[1].kind, Kind::memory);
  EXPECT_EQ((*pieces)[1].offset_bytes, 20u);
  EXPECT_EQ((*pieces)[1].value, 0x6ff8u);
  // Bits that are no whole bytes are no place for us.
  pieces = at({0x53, 0x9d, 3, 0, 0x53, 0x9d, 61, 0, 0x53, 0x9d, 32, 8, 0x53, 0x9d, 0xc0, 0, 0});
  ASSERT_TRUE(pieces);
  ASSERT_EQ(pieces->size(), 1u);
  EXPECT_EQ(pieces->front().offset_bytes, 12u);
  EXPECT_EQ(pieces->front().size_bytes, 8u);
}

TEST_F(Locations, Arithmetic) {
  EXPECT_EQ(computed({0x33, 0x34, 0x22}), 7u);                                     // 3 + 4
  EXPECT_EQ(computed({0x33, 0x34, 0x1c}), UINT64_MAX);                             // 3 − 4
  EXPECT_EQ(computed({0x33, 0x34, 0x1e}), 12u);                                    // 3 × 4
  EXPECT_EQ(computed({0x09, 0xf8, 0x33, 0x1b}), static_cast<uint64_t>(-2));        // −8 / 3
  EXPECT_EQ(computed({0x38, 0x33, 0x1d}), 2u);                                     // 8 mod 3
  EXPECT_EQ(computed({0x31, 0x08, 70, 0x24}), 0u);                                 // 1 << 70
  EXPECT_EQ(computed({0x09, 0xf8, 0x31, 0x26}), static_cast<uint64_t>(-4));        // −8 >> 1, with the sign
  EXPECT_EQ(computed({0x3f, 0x33, 0x1a}), 3u);                                     // 15 & 3
  EXPECT_EQ(computed({0x33, 0x34, 0x2d}), 1u);                                     // 3 < 4
  EXPECT_EQ(computed({0x09, 0xff, 0x31, 0x2b}), 0u);                               // −1 > 1
  EXPECT_EQ(computed({0x33, 0x1f}), static_cast<uint64_t>(-3));                    // neg
  EXPECT_EQ(computed({0x11, 0x7d, 0x19}), 3u);                                     // |−3|
  EXPECT_EQ(computed({0x31, 0x32, 0x33, 0x17, 0x1c, 0x1c}), 4u);                   // 1 2 3 → rot → 3 1 2: 3 − (1 − 2)
  EXPECT_EQ(computed({0x31, 0x32, 0x16, 0x1c}), 1u);                               // swap
  EXPECT_EQ(computed({0x31, 0x32, 0x15, 1, 0x22, 0x22}), 4u);                      // pick 1: 1 + 2 + 1
  EXPECT_EQ(computed({0x35, 0x23, 0x80, 0x01}), 133u);                             // plus_uconst 128
  EXPECT_EQ(computed({0x0b, 0xff, 0xff, 0x30, 0x22}), static_cast<uint64_t>(-1));  // const2s
  EXPECT_EQ(computed({0x31, 0x28, 1, 0, 0x32, 0x33}), 3u);                         // bra over the 2
  EXPECT_EQ(computed({0x30, 0x28, 1, 0, 0x32, 0x33, 0x22}), 5u);
  EXPECT_EQ(computed({0x31, 0x2f, 1, 0, 0x32}), 1u);  // skip
}

TEST_F(Locations, WhatIsNoPlaceSaysWhy) {
  EXPECT_EQ(failure({}), NoLocation::nowhere);
  EXPECT_EQ(failure({0xa3, 1, 0x55, 0x9f}), NoLocation::entry_value);
  EXPECT_EQ(failure({0xf3, 1, 0x55, 0x23, 8, 0x9f}), NoLocation::entry_value);  // GNU's, and something added
  EXPECT_EQ(failure({0xf2, 1, 2, 3, 4, 0}), NoLocation::nowhere);               // GNU_implicit_pointer
  EXPECT_EQ(failure({0x55}), NoLocation::unknown_register);                     // rdi, of a caller
  EXPECT_EQ(failure({0x75, 8}), NoLocation::unknown_register);
  EXPECT_EQ(failure({0x0a, 0, 1, 0x06}), NoLocation::absent_memory);
  EXPECT_EQ(failure({0x31, 0xe0}), NoLocation::unsupported);  // the address of a thread-local
  EXPECT_EQ(failure({0x53, 0x93, 0}), NoLocation::damaged);   // a piece of nothing
  frame_.cfa.reset();
  EXPECT_EQ(failure({0x91, 0}), NoLocation::unknown_register);
}

TEST_F(Locations, DamageIsAnAnswer) {
  EXPECT_EQ(failure({0x22}), NoLocation::damaged);                    // plus, of nothing
  EXPECT_EQ(failure({0x31, 0x30, 0x1b}), NoLocation::damaged);        // 1 / 0
  EXPECT_EQ(failure({0x31, 0x30, 0x1d}), NoLocation::damaged);        // 1 mod 0
  EXPECT_EQ(failure({0x15, 5}), NoLocation::damaged);                 // pick, too deep
  EXPECT_EQ(failure({0x53, 0x31}), NoLocation::damaged);              // a register, and more
  EXPECT_EQ(failure({0x2f, 0xfd, 0xff}), NoLocation::damaged);        // an endless loop
  EXPECT_EQ(failure({0x31, 0x2f, 0xfc, 0xff}), NoLocation::damaged);  // one that fills the stack
  EXPECT_EQ(failure({0x9f}), NoLocation::damaged);
  // No expressions at all: cut short, or a branch into the middle of an operation.
  for (auto bytes :
       {bytes_of({0x03, 1, 2}), bytes_of({0x91}), bytes_of({0x91, 0x80}), bytes_of({0x93}), bytes_of({0x9e, 0x7f, 1}),
        bytes_of({0xa3, 9, 1}), bytes_of({0x28, 1}), bytes_of({0xa1, 7}), bytes_of({0x0c, 1, 2}), bytes_of({0x94, 9}),
        bytes_of({0x2f, 1, 0, 0x08, 5}), bytes_of({0x2f, 0x80, 0}), bytes_of({0x2f, 0, 0x80}),
        bytes_of({0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1})}) {
    EXPECT_FALSE(parse(bytes)) << static_cast<int>(bytes[0]);
  }
  EXPECT_FALSE(parse(std::vector<std::byte>(100'000, std::byte{0x31})));
  // More pieces, and larger ones, than any variable has.
  std::vector<std::byte> many;
  for (int i = 0; i < 1000; ++i)
    for (int value : {0x53, 0x93, 8}) many.push_back(static_cast<std::byte>(value));
  EXPECT_EQ(locate(*parse(many), frame_).error(), NoLocation::damaged);
  EXPECT_EQ(failure({0x53, 0x93, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}), NoLocation::damaged);
}

TEST_F(Locations, RandomBytesNeverDoHarm) {
  std::mt19937 random(17);
  size_t placed = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::vector<std::byte> bytes(random() % 24);
    for (std::byte& each : bytes) each = static_cast<std::byte>(random());
    auto parsed = parse(bytes);
    if (!parsed) continue;
    auto pieces = locate(*parsed, frame_);
    placed += pieces.has_value();
    EXPECT_FALSE(pieces && pieces->empty());
  }
  EXPECT_GT(placed, 100u);
}

}  // namespace
}  // namespace heapwalk
