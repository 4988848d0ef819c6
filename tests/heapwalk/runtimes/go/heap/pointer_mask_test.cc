// Pointer masks of types laid out by hand, as each release writes them, and of types that no compiler would write.
#include "heapwalk/runtimes/go/heap/pointer_mask.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "heapwalk/runtimes/go/heap/mask_bits.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kBase = 0x500000;
constexpr uint8_t kDeferred = 16;
constexpr uint8_t kProgram = 64;
constexpr uint8_t kArrayKind = 17, kStructKind = 25;

// Memory in which descriptors are written one behind the other.
class Descriptors {
 public:
  explicit Descriptors(int minor) : layout_(*Layout::of(minor)), bytes_(1 << 16) {}

  const Layout& layout() const { return layout_; }
  AddressSpace memory() const {
    return AddressSpace({{AddressRange::of(Address{kBase}, bytes_.size()), ByteState::core, bytes_.data()}});
  }

  Address room(uint64_t size_bytes) {
    const Address at{kBase + end_};
    end_ += (size_bytes + 15) / 8 * 8;
    return at;
  }
  template <class T>
  void put(Address at, T value) {
    std::memcpy(bytes_.data() + (at.value - kBase), &value, sizeof(T));
  }
  Address bits(std::vector<uint8_t> values) {
    const Address at = room(values.size());
    for (size_t i = 0; i < values.size(); ++i) put(at + i, values[i]);
    return at;
  }
  Address program(const std::vector<uint8_t>& code) {
    const Address at = room(4 + code.size());
    put(at, static_cast<uint32_t>(code.size()));
    for (size_t i = 0; i < code.size(); ++i) put(at + 4 + i, code[i]);
    return at;
  }
  Address type(uint64_t size_bytes, uint64_t pointer_bytes, Address gc_data, uint8_t kind, uint8_t flags = 0) {
    const Address at = room(96);
    fill(at, size_bytes, pointer_bytes, gc_data, kind, flags);
    return at;
  }
  void fill(Address at, uint64_t size_bytes, uint64_t pointer_bytes, Address gc_data, uint8_t kind, uint8_t flags) {
    put(at + layout_.offset(Field::Type_Size_), size_bytes);
    put(at + layout_.offset(Field::Type_PtrBytes), pointer_bytes);
    put(at + layout_.offset(Field::Type_GCData), gc_data.value);
    put(at + layout_.offset(Field::Type_Kind_), kind);
    put(at + layout_.offset(Field::Type_TFlag), flags);
  }
  Address deferred_array(Address element, uint64_t each, uint64_t each_pointers, uint64_t length) {
    const Address at = type(each * length, each * (length - 1) + each_pointers, room(8), kArrayKind, kDeferred);
    put(at + layout_.offset(Field::ArrayType_Elem), element.value);
    put(at + layout_.offset(Field::ArrayType_Len), length);
    return at;
  }
  void set_fields(Address record, const std::vector<std::pair<Address, uint64_t>>& fields) {
    const uint64_t each = layout_.offset(Field::StructField_size);
    const Address list = room(fields.size() * each);
    for (size_t i = 0; i < fields.size(); ++i) {
      put(list + i * each + layout_.offset(Field::StructField_Typ), fields[i].first.value);
      put(list + i * each + layout_.offset(Field::StructField_Offset), fields[i].second);
    }
    put(record + layout_.offset(Field::StructType_Fields), list.value);
    put(record + layout_.offset(Field::StructType_Fields) + 8, fields.size());
  }

 private:
  Layout layout_;
  std::vector<std::byte> bytes_;
  uint64_t end_ = 64;
};

std::string text_of(const PointerMask& mask, uint64_t words) {
  std::string text;
  for (uint64_t i = 0; i < words; ++i) text += mask.is_pointer(i) ? '1' : '0';
  return text;
}

TEST(PointerMask, PlainBitsAreBorrowed) {
  Descriptors types(26);
  const Address bits = types.bits({0b110});
  const Address type = types.type(32, 24, bits, kStructKind);
  const Address numbers = types.type(32, 0, Address{}, kStructKind);
  const AddressSpace memory = types.memory();
  PointerMasks masks(memory, types.layout());
  const PointerMask* mask = masks.of(type);
  ASSERT_NE(mask, nullptr);
  EXPECT_EQ(text_of(*mask, 4), "0110");
  EXPECT_EQ(mask->bits.data(), memory.read(bits, 1).data());
  EXPECT_EQ(mask->size_bytes, 32u);
  EXPECT_EQ(masks.of(type), mask);
  ASSERT_NE(masks.of(numbers), nullptr);
  EXPECT_FALSE(masks.of(numbers)->has_pointers());
  EXPECT_EQ(masks.unknown_types(), 0u);
}

TEST(PointerMask, BitsBehindTheLastPointerAreNoise) {
  Descriptors types(26);
  const Address type = types.type(800, 72 * 8, types.bits({255, 255, 255, 255, 255, 255, 255, 255, 0xfd}), kStructKind);
  const AddressSpace memory = types.memory();
  PointerMasks masks(memory, types.layout());
  const PointerMask* mask = masks.of(type);
  ASSERT_NE(mask, nullptr);
  EXPECT_EQ(mask->group(0), UINT64_MAX);
  EXPECT_EQ(mask->group(1), 0xfdu);
  EXPECT_EQ(mask->group(2), 0u);
  EXPECT_EQ(mask->group(UINT64_MAX / 8), 0u);
  EXPECT_FALSE(mask->is_pointer(65));
  EXPECT_FALSE(mask->is_pointer(72));
}

TEST(PointerMask, ProgramsRepeatShortAndLongPatterns) {
  Descriptors types(23);
  // 1 0 0, then these three bits 99 999 times more; 300 000 words.
  const Address short_one =
      types.type(2400000, 2400000, types.program({3, 0b001, 0x83, 0x9f, 0x8d, 0x06, 0}), kStructKind | kProgram);
  // 70 bits with a one at 0, 1 and 69; these 70 again 3 times, with the period in its own number.
  const Address long_one = types.type(
      280 * 8, 280 * 8, types.program({70, 3, 0, 0, 0, 0, 0, 0, 0, 0x20, 0x80, 70, 3, 0}), kStructKind | kProgram);
  const AddressSpace memory = types.memory();
  PointerMasks masks(memory, types.layout());
  const PointerMask* mask = masks.of(short_one);
  ASSERT_NE(mask, nullptr);
  for (uint64_t i = 0; i < 300000; ++i) ASSERT_EQ(mask->is_pointer(i), i % 3 == 0) << i;
  mask = masks.of(long_one);
  ASSERT_NE(mask, nullptr);
  for (uint64_t i = 0; i < 280; ++i) ASSERT_EQ(mask->is_pointer(i), i % 70 <= 1 || i % 70 == 69) << i;
}

TEST(PointerMask, TheProgramBitIsNoneSince124) {
  Descriptors types(24);
  const Address type = types.type(32, 24, types.bits({0b101}), kStructKind | kProgram);
  const AddressSpace memory = types.memory();
  PointerMasks masks(memory, types.layout());
  ASSERT_NE(masks.of(type), nullptr);
  EXPECT_EQ(text_of(*masks.of(type), 4), "1010");
}

TEST(PointerMask, BadProgramsMakeNoMask) {
  Descriptors types(22);
  std::vector<Address> bad = {
      types.type(800, 800, types.program({3, 1, 0}), kStructKind | kProgram),              // ends early
      types.type(800, 800, types.program({0x83, 5, 0}), kStructKind | kProgram),           // repeats nothing
      types.type(800, 800, types.program({1, 1, 0x80, 0, 9, 0}), kStructKind | kProgram),  // no bits, nine times
      types.type(800, 800, types.program({1, 1, 0x81, 0xff}), kStructKind | kProgram),     // stops in a number
      types.type(800, 800, types.program({100, 1}), kStructKind | kProgram),               // stops in the bits
      types.type(800, 800, Address{0x10}, kStructKind | kProgram),                         // absent
      types.type(uint64_t{1} << 60, uint64_t{1} << 60, types.program({1, 1, 0}), kStructKind | kProgram)};
  const AddressSpace memory = types.memory();
  PointerMasks masks(memory, types.layout());
  for (size_t i = 0; i < bad.size(); ++i) EXPECT_EQ(masks.of(bad[i]), nullptr) << i;
  EXPECT_EQ(masks.unknown_types(), bad.size());
}

TEST(PointerMask, AnArrayIsTiledByItsElement) {
  Descriptors types(26);
  const Address element = types.type(24, 16, types.bits({0b10}), kStructKind);
  const Address inner = types.deferred_array(element, 24, 16, 20000);
  const Address outer = types.deferred_array(inner, 480000, 479992, 1000000);
  const AddressSpace memory = types.memory();
  PointerMasks masks(memory, types.layout());
  const PointerMask* mask = masks.of(outer);
  ASSERT_NE(mask, nullptr);
  EXPECT_EQ(mask->size_bytes, 24u);
  EXPECT_EQ(text_of(*mask, 3), "010");
}

TEST(PointerMask, StructsAreBuiltFromTheirFields) {
  Descriptors types(25);
  const Address element = types.type(24, 16, types.bits({0b10}), kStructKind);
  const Address array = types.deferred_array(element, 24, 16, 20000);
  const Address number = types.type(8, 0, Address{}, 2);
  const Address pointer = types.type(8, 8, types.bits({1}), 22);
  const uint64_t size = 8 + 480000 + 16;
  const Address record = types.type(size, size - 8, types.room(8), kStructKind, kDeferred);
  types.set_fields(record, {{number, 0}, {array, 8}, {pointer, 480008}, {number, 480016}});
  const AddressSpace memory = types.memory();
  PointerMasks masks(memory, types.layout());
  const PointerMask* mask = masks.of(record);
  ASSERT_NE(mask, nullptr);
  EXPECT_EQ(mask->size_bytes, size);
  for (uint64_t i = 0; i < size / 8; ++i) {
    const bool expected = i == 60001 || (i >= 1 && i <= 60000 && (i - 1) % 3 == 1);
    ASSERT_EQ(mask->is_pointer(i), expected) << i;
  }
}

TEST(PointerMask, StructsThatNoCompilerWouldWriteMakeNoMask) {
  Descriptors types(27);
  const uint64_t size = 1 << 20;
  const Address pointer = types.type(8, 8, types.bits({1}), 22);
  const Address of_itself = types.type(size, size, types.room(8), kStructKind, kDeferred);
  types.set_fields(of_itself, {{of_itself, 0}});
  const Address overlapping = types.type(size, size, types.room(8), kStructKind, kDeferred);
  types.set_fields(overlapping, {{pointer, 64}, {pointer, 64}});
  const Address outside = types.type(size, size, types.room(8), kStructKind, kDeferred);
  types.set_fields(outside, {{pointer, size - 4}});
  const Address absent = types.type(size, size, types.room(8), kStructKind, kDeferred);
  types.set_fields(absent, {{Address{0x1234560}, 0}});
  const Address array_of_itself = types.type(size, size, types.room(8), kArrayKind, kDeferred);
  types.put(array_of_itself + types.layout().offset(Field::ArrayType_Elem), array_of_itself.value);
  types.put(array_of_itself + types.layout().offset(Field::ArrayType_Len), uint64_t{1});
  const Address slot_of_number = types.type(size, size, types.room(8), 2, kDeferred);
  const Address larger_than_itself = types.type(16, 32, types.bits({1}), kStructKind);
  const AddressSpace memory = types.memory();
  PointerMasks masks(memory, types.layout());
  for (Address type : {of_itself, overlapping, outside, absent, array_of_itself, slot_of_number, larger_than_itself,
                       Address{}, Address{kBase + 3}, Address{0x10}}) {
    EXPECT_EQ(masks.of(type), nullptr) << type.value;
  }
}

// 200 structs of 200 fields each, without a pointer at the end: 200^20 fields to look at, were they all looked at.
TEST(PointerMask, FieldsThatMultiplyAreGivenUp) {
  Descriptors types(26);
  Address last = types.type(8, 0, Address{}, 2);
  for (int depth = 0; depth < 8; ++depth) {
    const Address record = types.type(1 << 20, 1 << 20, types.room(8), kStructKind, kDeferred);
    types.set_fields(record, std::vector<std::pair<Address, uint64_t>>(200, {last, 0}));
    last = record;
  }
  const AddressSpace memory = types.memory();
  PointerMasks masks(memory, types.layout());
  EXPECT_EQ(masks.of(last), nullptr);
}

TEST(PointerMask, ManyTypesAreFoundAgain) {
  Descriptors types(26);
  std::vector<Address> all;
  const Address bits = types.bits({1});
  for (uint64_t i = 0; i < 500; ++i) all.push_back(types.type(8 + 8 * i, 8, bits, kStructKind));
  const AddressSpace memory = types.memory();
  PointerMasks masks(memory, types.layout());
  std::vector<const PointerMask*> found;
  for (Address type : all) found.push_back(masks.of(type));
  for (uint64_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(masks.of(all[i]), found[i]);
    EXPECT_EQ(found[i]->size_bytes, 8 + 8 * i);
  }
}

// Against one bit after the other.
TEST(MaskBits, RepeatsAnyPatternAtAnyPlace) {
  for (uint64_t period = 1; period < 140; period += 3) {
    for (uint64_t before = 0; before < 70; before += 23) {
      MaskBits bits(2000);
      std::vector<bool> slow;
      for (uint64_t i = 0; i < before + period; ++i) {
        const bool one = (i * 7 + i / 5) % 3 == 0;
        bits.append(one ? UINT64_MAX : 0, 1);
        slow.push_back(one);
      }
      ASSERT_TRUE(bits.repeat(period, 20));
      for (uint64_t i = 0; i < 20 * period && slow.size() < 2000; ++i) slow.push_back(slow[slow.size() - period]);
      ASSERT_EQ(bits.size(), slow.size());
      const std::vector<uint64_t> words = std::move(bits).finish();
      for (size_t i = 0; i < slow.size(); ++i)
        ASSERT_EQ((words[i / 64] >> i % 64 & 1) != 0, slow[i]) << period << " " << i;
    }
  }
}

}  // namespace
}  // namespace heapwalk::go
