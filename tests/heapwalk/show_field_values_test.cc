#include <gtest/gtest.h>

#include <cstring>

#include "heapwalk/field_values.h"

namespace heapwalk {
namespace {

constexpr Address kPlace{0x1000};

// "name = value" per row, indented by depth.
std::string text(const std::vector<FieldValue>& rows) {
  std::string result;
  for (const FieldValue& row : rows) {
    result += std::string(row.depth, '.') + row.name;
    if (!row.value.empty()) result += " = " + row.value;
    result += "\n";
  }
  return result;
}

class FieldValues : public ::testing::Test {
 protected:
  template <class T>
  void put(size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof value);
  }
  std::string values(TypeId type, uint64_t size_bytes, bool is_array = false, const IsInUse& is_in_use = {}) {
    AddressSpace memory(std::vector<Region>{{AddressRange::of(kPlace, bytes_.size()), ByteState::core, bytes_.data()}});
    return text(field_values(builder_.table(), memory, AddressRange::of(kPlace, size_bytes), type, is_array, nullptr,
                             is_in_use));
  }
  TypeId record(std::string_view name, uint64_t size_bytes, std::vector<Field> fields,
                TypeKind kind = TypeKind::record) {
    auto opened = builder_.open(kind, name, size_bytes);
    EXPECT_EQ(builder_.fill(opened.id, std::move(fields), {}), 0U);
    return opened.id;
  }

  TypeTableBuilder builder_;
  TypeId int_ = builder_.base("int", 4, BaseEncoding::signed_integer);
  TypeId long_ = builder_.base("unsigned long", 8, BaseEncoding::unsigned_integer);
  TypeId char_ = builder_.base("char", 1, BaseEncoding::character);
  TypeId double_ = builder_.base("double", 8, BaseEncoding::floating);
  TypeId bool_ = builder_.base("bool", 1, BaseEncoding::boolean);
  std::vector<std::byte> bytes_{512};
};

TEST_F(FieldValues, ElementsThatAreNotInUseAreLeftOut) {
  for (int32_t i = 0; i < 40; ++i) put(static_cast<size_t>(i) * 4, i);
  EXPECT_EQ(values(int_, 16, true, [](uint64_t offset) { return offset == 4 || offset == 12; }), "[1] = 1\n[3] = 3\n");
  EXPECT_EQ(values(int_, 16, true, [](uint64_t) { return false; }), "");
  EXPECT_EQ(values(int_, 160, true, [](uint64_t offset) { return offset % 16 == 0; }),
            "[0] = 0\n[4] = 4\n[8] = 8\n[12] = 12\n[16] = 16\n[20] = 20\n[24] = 24\n[28] = 28\n… 2 more\n");
}

TEST_F(FieldValues, ScalarsOfARecord) {
  TypeId colour = builder_.enumeration("Colour", 4, int_);
  TypeId type = record("R", 40,
                       {{.name = "number", .type = int_, .offset_bytes = 0},
                        {.name = "ratio", .type = double_, .offset_bytes = 8},
                        {.name = "open", .type = bool_, .offset_bytes = 16},
                        {.name = "letter", .type = char_, .offset_bytes = 17},
                        {.name = "colour", .type = colour, .offset_bytes = 20},
                        {.name = "next", .type = builder_.pointer_to(long_), .offset_bytes = 24},
                        {.name = "none", .type = builder_.pointer_to(long_), .offset_bytes = 32}});
  put(0, int32_t{-5});
  put(8, 2.5);
  put(16, true);
  put(17, 'x');
  put(20, int32_t{-1});
  put(24, uint64_t{0xabc0});
  EXPECT_EQ(values(type, 40),
            "number = -5\nratio = 2.5\nopen = true\nletter = 120 \"x\"\ncolour = -1\nnext = 0xabc0\nnone = null\n");
}

Field bits(std::string_view name, TypeId type, uint8_t first, uint8_t size) {
  Field field{.name = name, .type = type};
  field.is_bit_field = true;
  field.bit_offset = first;
  field.bit_size = size;
  return field;
}

TEST_F(FieldValues, BitFieldsHaveValues) {
  TypeId type = record("Flags", 8,
                       {bits("low", long_, 0, 3), bits("sign", int_, 3, 5), bits("on", bool_, 7, 1),
                        bits("across", long_, 6, 20), bits("rest", long_, 26, 38)});
  struct Flags {
    unsigned long low : 3;
    signed long sign : 5;
    unsigned long other : 56;
  } flags = {5, -3, 0x123456789abcd};
  put(0, flags);
  uint64_t word = 0;
  std::memcpy(&word, bytes_.data(), 8);
  EXPECT_EQ(values(type, 8), "low = 5\nsign = -3\non = true\nacross = " + std::to_string(word >> 6 & 0xfffff) +
                                 "\nrest = " + std::to_string(word >> 26) + "\n");
}

TEST_F(FieldValues, TextIsQuotedEscapedAndBounded) {
  TypeId type = record("R", 32,
                       {{.name = "text", .type = builder_.pointer_to(char_), .offset_bytes = 0},
                        {.name = "name", .type = builder_.array_of(char_, 8), .offset_bytes = 8},
                        {.name = "lost", .type = builder_.pointer_to(char_), .offset_bytes = 16}});
  put(0, (kPlace + 64).value);
  std::memcpy(bytes_.data() + 8, "a\"\x1b", 3);
  put(16, uint64_t{0xdead0000});
  std::memset(bytes_.data() + 64, 'y', 200);
  EXPECT_EQ(values(type, 32),
            "text = 0x1040 \"" + std::string(64, 'y') + "\"…\nname = \"a\\\"\\x1b\"\nlost = 0xdead0000\n");
}

TEST_F(FieldValues, RecordsNestAndArraysStopEarly) {
  TypeId point = record(
      "Point", 8, {{.name = "x", .type = int_, .offset_bytes = 0}, {.name = "y", .type = int_, .offset_bytes = 4}});
  TypeId type = record("R", 48,
                       {{.name = "Base", .type = point, .offset_bytes = 0, .is_base = true},
                        {.name = "many", .type = builder_.array_of(int_, 10), .offset_bytes = 8}});
  for (int i = 0; i < 12; ++i) put(static_cast<size_t>(i) * 4, i);
  EXPECT_EQ(values(type, 48),
            "x = 0\ny = 1\nmany\n.[0] = 2\n.[1] = 3\n.[2] = 4\n.[3] = 5\n.[4] = 6\n.[5] = 7\n.[6] = 8\n"
            ".[7] = 9\n.… 2 more\n");
}

TEST_F(FieldValues, AnArrayOfObjectsAndOneOfCharacters) {
  TypeId pair = record("Pair", 8, {{.name = "a", .type = int_, .offset_bytes = 0}});
  put(0, 1);
  put(8, 2);
  EXPECT_EQ(values(pair, 20, true), "[0]\n.a = 1\n[1]\n.a = 2\n");
  std::memcpy(bytes_.data(), "hello", 6);
  EXPECT_EQ(values(char_, 24, true), " = \"hello\"\n");
}

TEST_F(FieldValues, WhatIsNotThereIsSaid) {
  TypeId type =
      record("R", 1024,
             {{.name = "in", .type = int_, .offset_bytes = 0}, {.name = "out", .type = int_, .offset_bytes = 1000}});
  EXPECT_EQ(values(type, 1024), "in = 0\nout = (absent from the core)\n");
  EXPECT_EQ(values(kNoType, 1024), "");
  EXPECT_EQ(values(TypeId{12345}, 1024), "");
}

TEST_F(FieldValues, DepthAndRowsAreBounded) {
  TypeId inner = record("D0", 4, {{.name = "leaf", .type = int_, .offset_bytes = 0}});
  for (int i = 1; i < 20; ++i)
    inner = record("D" + std::to_string(i), 4, {{.name = "in", .type = inner, .offset_bytes = 0}});
  EXPECT_NE(values(inner, 4).find("in = {…}"), std::string::npos);
  std::vector<Field> fields;
  fields.reserve(5000);
  for (uint64_t i = 0; i < 5000; ++i) fields.push_back({.name = "f", .type = char_, .offset_bytes = i});
  TypeId wide = record("Wide", 5000, fields);
  EXPECT_LT(values(wide, 5000).size(), 20'000U);
}

// Records without rows of their own must not cost time without end: 2^60 bases.
TEST_F(FieldValues, HoistedRecordsAreBounded) {
  TypeId inner = record("E0", 1, {});
  for (int i = 1; i < 60; ++i) {
    inner = record("E" + std::to_string(i), 1,
                   {{.name = "a", .type = inner, .offset_bytes = 0, .is_base = true},
                    {.name = "b", .type = inner, .offset_bytes = 0, .is_base = true}});
  }
  EXPECT_LT(values(inner, 1).size(), 1000U);
}

TEST_F(FieldValues, ABufferThatReachesToTheEnd) {
  TypeId type = record("Message", 8,
                       {{.name = "length", .type = int_, .offset_bytes = 0},
                        {.name = "data", .type = builder_.array_of(char_, 0), .offset_bytes = 8}});
  std::memcpy(bytes_.data() + 8, "payload", 8);
  EXPECT_EQ(values(type, 32), "length = 0\ndata = \"payload\"\n");
}

}  // namespace
}  // namespace heapwalk
