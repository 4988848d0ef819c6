// Blocks that nothing typed leads to, told by a variable that they refer to: through the whole inference, which asks
// DescriptorPointers last.
#include "heapwalk/types/descriptor_pointers.h"

#include <gtest/gtest.h>

#include "tests/support/typed_memory.h"

namespace heapwalk::test {
namespace {

struct Scene {
  TypedMemory memory;
  TypeId methods = memory.record("Methods", 16, {{"hash", memory.long_, 0}});
  TypeId to_methods = memory.pointer(methods);
  uint64_t set_methods = memory.variable("set_methods", methods);
  uint64_t map_methods = memory.variable("map_methods", methods);

  // Descriptors are asked only when the types of the program are known at all.
  Scene() {
    const TypeId known = memory.record("Known", 24, {{"first", memory.long_, 0}});
    memory.put(memory.variable("known", memory.pointer(known)), {memory.allocate(24)});
  }
  // A block that begins with these words.
  uint64_t block(uint64_t size_bytes, std::initializer_list<uint64_t> words) {
    const uint64_t at = memory.allocate(size_bytes);
    memory.put(at, words);
    return at;
  }
};

TEST(DescriptorPointers, TellTheOnlyRecordOfThatSize) {
  Scene scene;
  scene.memory.record("Dict", 40, {{"methods", scene.to_methods, 8}});
  scene.memory.record("Elsewhere", 40, {{"methods", scene.to_methods, 16}});
  scene.memory.record("Larger", 88, {{"methods", scene.to_methods, 8}});
  const uint64_t first = scene.block(40, {1, scene.set_methods}), second = scene.block(40, {2, scene.map_methods});
  const uint64_t inside = scene.block(40, {3, scene.set_methods + 8});  // into the variable, not to it
  const uint64_t wide = scene.block(200, {4, scene.set_methods});       // no record is as large
  const auto process = scene.memory.infer();
  EXPECT_EQ(process->name_at(first), "Dict");
  EXPECT_EQ(process->name_at(second), "Dict");
  EXPECT_EQ(process->name_at(inside), "[40 B]");
  EXPECT_EQ(process->name_at(wide), "[200 B]");
}

TEST(DescriptorPointers, SeveralRecordsOfThatSizeAreNone) {
  Scene scene;
  scene.memory.record("Dict", 40, {{"methods", scene.to_methods, 8}});
  scene.memory.record("Set", 40, {{"methods", scene.to_methods, 8}});
  const uint64_t block = scene.block(40, {1, scene.set_methods});
  EXPECT_EQ(scene.memory.infer()->name_at(block), "[40 B]");
}

TEST(DescriptorPointers, OtherPointersTellThemApart) {
  Scene scene;
  const TypeId table = scene.memory.record("Table", 24, {{"size", scene.memory.long_, 0}});
  const TypeId list = scene.memory.record("List", 24, {{"length", scene.memory.long_, 0}});
  scene.memory.record("Dict", 40, {{"methods", scene.to_methods, 8}, {"table", scene.memory.pointer(table), 16}});
  scene.memory.record("Set", 40, {{"methods", scene.to_methods, 8}, {"list", scene.memory.pointer(list), 16}});
  const uint64_t a_list = scene.block(24, {});
  scene.memory.put(scene.memory.variable("list", scene.memory.pointer(list)), {a_list});
  const uint64_t told = scene.block(40, {1, scene.set_methods, a_list});
  EXPECT_EQ(scene.memory.infer()->name_at(told), "Set");
}

TEST(DescriptorPointers, OneInTwentyMayFail) {
  for (const int failing : {1, 2}) {
    Scene scene;
    scene.memory.record("Dict", 40, {{"methods", scene.to_methods, 8}, {"owner", scene.to_methods, 16}});
    uint64_t last = 0;
    for (int i = 0; i < 20; ++i) {
      const bool fails = i < failing;  // as much speaks against it as for it
      last = scene.block(40, {1, scene.set_methods, fails ? TypedMemory::kNowhere : 0});
    }
    EXPECT_EQ(scene.memory.infer()->name_at(last), failing == 1 ? "Dict" : "[40 B data]") << failing;
  }
}

TEST(DescriptorPointers, WhatTypedPointersSayIsBetter) {
  Scene scene;
  scene.memory.record("Dict", 40, {{"methods", scene.to_methods, 8}});
  const TypeId other = scene.memory.record("Other", 40, {{"first", scene.memory.long_, 0}});
  const uint64_t block = scene.block(40, {1, scene.set_methods});
  scene.memory.put(scene.memory.variable("other", scene.memory.pointer(other)), {block});
  EXPECT_EQ(scene.memory.infer()->name_at(block), "Other");
}

TEST(DescriptorPointers, OnlyTheFirstWordsAreLookedAt) {
  for (const uint64_t offset : {56, 64}) {
    Scene scene;
    scene.memory.record("Dict", 104, {{"methods", scene.to_methods, offset}});
    const uint64_t block = scene.memory.allocate(104);
    scene.memory.put(block + offset, {scene.set_methods});
    EXPECT_EQ(scene.memory.infer()->name_at(block), offset < 64 ? "Dict" : "[104 B]");
  }
}

// What a block that was told refers to is followed like any other.
TEST(DescriptorPointers, LeadOn) {
  Scene scene;
  const TypeId table = scene.memory.record("Table", 24, {{"size", scene.memory.long_, 0}});
  scene.memory.record("Dict", 40, {{"methods", scene.to_methods, 8}, {"table", scene.memory.pointer(table), 16}});
  const uint64_t a_table = scene.block(24, {});
  scene.block(40, {1, scene.set_methods, a_table});
  EXPECT_EQ(scene.memory.infer()->name_at(a_table), "Table");
}

}  // namespace
}  // namespace heapwalk::test
