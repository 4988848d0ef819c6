// Which of several claims about one block is believed.
#include <gtest/gtest.h>

#include "tests/support/typed_memory.h"

namespace heapwalk::test {
namespace {

struct Scene {
  TypedMemory memory;
  TypeId node = memory.record("Node", 24, {{"next", memory.pointer(memory.long_), 0}});

  uint64_t block(uint64_t size_bytes, TypeId led_to_as) {
    const uint64_t at = memory.allocate(size_bytes);
    lead(at, led_to_as);
    return at;
  }
  void lead(uint64_t at, TypeId as) {
    memory.put(memory.variable("v" + std::to_string(++variables_), memory.pointer(as)), {at});
  }

 private:
  int variables_ = 0;
};

TEST(ClaimStrength, AValueThatFillsItsBlockStands) {
  Scene scene;
  scene.memory.record("Session", 24, {{"node", scene.node, 0}});
  const uint64_t block = scene.block(24, scene.node);
  EXPECT_EQ(scene.memory.infer()->name_at(block), "Node");
}

// 24 bytes would get a block of 24 to 39; one of 40 holds them with 16 to spare.
TEST(ClaimStrength, ALooseValueGivesWayToWhatFillsTheBlock) {
  Scene scene;
  scene.memory.record("Session", 40, {{"node", scene.node, 0}, {"id", scene.memory.long_, 32}});
  const uint64_t block = scene.block(40, scene.node);
  EXPECT_EQ(scene.memory.infer()->name_at(block), "Session");
}

TEST(ClaimStrength, ALooseValueStandsWhenNothingElseFits) {
  Scene scene;
  scene.memory.record("Larger", 64, {{"node", scene.node, 0}});
  scene.memory.record("Beside", 40, {{"id", scene.memory.long_, 0}, {"node", scene.node, 8}});
  const uint64_t block = scene.block(40, scene.node);
  EXPECT_EQ(scene.memory.infer()->name_at(block), "Node");
}

// Not snug either: no better than what is known.
TEST(ClaimStrength, ALooseValueDoesNotGiveWayToALooseOne) {
  Scene scene;
  scene.memory.record("Session", 64, {{"node", scene.node, 0}, {"id", scene.memory.long_, 24}});
  const TypeId head = scene.memory.record("Head", 72, {{"node", scene.node, 0}, {"id", scene.memory.long_, 32}});
  const uint64_t block = scene.block(88, head);
  EXPECT_EQ(scene.memory.infer()->name_at(block), "Head");
}

TEST(ClaimStrength, ALooseValueGivesWayToOneThatIsNot) {
  for (const bool loose_first : {true, false}) {
    Scene scene;
    const TypeId session = scene.memory.record("Session", 40, {{"id", scene.memory.long_, 0}});
    const uint64_t block = scene.memory.allocate(40);
    scene.lead(block, loose_first ? scene.node : session);
    scene.lead(block, loose_first ? session : scene.node);
    EXPECT_EQ(scene.memory.infer()->name_at(block), "Session") << loose_first;
  }
}

TEST(ClaimStrength, ALooseValueIsBetterThanAnArray) {
  Scene scene;
  const TypeId pair = scene.memory.record("Pair", 8, {{"next", scene.memory.pointer(scene.memory.long_), 0}});
  const uint64_t block = scene.memory.allocate(40);
  scene.lead(block, pair);
  scene.lead(block, scene.node);
  EXPECT_EQ(scene.memory.infer()->name_at(block), "Node");
}

// What its pointers would say if it were the larger record counts.
TEST(ClaimStrength, ALooseValueDoesNotGiveWayToWhatIsContradicted) {
  Scene scene;
  scene.memory.record("Session", 40, {{"node", scene.node, 0}, {"peer", scene.memory.pointer(scene.node), 32}});
  const TypeId other = scene.memory.record("Other", 24, {{"first", scene.memory.long_, 0}});
  const uint64_t known = scene.block(24, other);
  const uint64_t block = scene.block(40, scene.node);
  scene.memory.put(block + 32, {known});
  EXPECT_EQ(scene.memory.infer()->name_at(block), "Node");
}

// new T[n] keeps the count only of what has a destructor: characters never come with one.
TEST(ClaimStrength, ATextInsideItsStringIsNoArrayWithACookie) {
  Scene scene;
  const TypeId character = scene.memory.types.base("char", 1, BaseEncoding::character);
  const TypeId text = scene.memory.record("std::__cxx11::basic_string<char>", 32,
                                          {{"_M_p", scene.memory.pointer(character), 0},
                                           {"_M_string_length", scene.memory.long_, 8},
                                           {"_M_local_buf", scene.memory.types.array_of(character, 16), 16}});
  const uint64_t block = scene.block(40, text);
  scene.memory.put(block, {block + 16, 10, 0x6161616161616161, 0x6161});
  const auto process = scene.memory.infer();
  EXPECT_EQ(process->name_at(block), "std::__cxx11::basic_string<char>");
  EXPECT_EQ(process->evidence_at(block), TypeEvidence::pointer);
}

}  // namespace
}  // namespace heapwalk::test
