#include "heapwalk/types/block_shapes.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/support/typed_memory.h"

namespace heapwalk {
namespace {

using test::TypedMemory;
using test::TypedProcess;

// Blocks of few sizes, their words null, a pointer into the heap, or a number, each position with odds of its own.
std::unique_ptr<const TypedProcess> random_heap(uint32_t seed) {
  std::mt19937 random(seed);
  TypedMemory memory;
  std::vector<uint64_t> blocks;
  while (blocks.size() < 900) blocks.push_back(memory.allocate(24 + 16 * (random() % 3)));
  for (size_t i = 0; i < blocks.size(); ++i) {
    const uint64_t words = 3 + 2 * (i * seed % 2);
    for (uint64_t word = 0; word < 3 && word < words; ++word) {
      const uint64_t kind = (random() % 8 + seed * (word + 1)) % 11;
      const uint64_t pointer = blocks[random() % blocks.size()] + 8 * (random() % 2);
      memory.put(blocks[i] + 8 * word, {kind < 4 ? 0 : kind < 8 ? pointer : 1 + random() % 1000});
    }
  }
  return memory.infer();
}

// What the documentation says of a picture, word by word.
testing::AssertionResult is_true(const TypedProcess& process, Address address, uint64_t size_bytes,
                                 const std::string& name) {
  const std::string picture = name.substr(name.rfind(' ') + 1);
  for (uint64_t i = 0; i < size_bytes / 8; ++i) {
    const uint64_t word = process.dump.memory.read_word(address + 8 * i).value_or(0);
    const bool leads_on = process.objects.span().contains(Address{word});
    const char is = picture == "data]" || i >= picture.size() - 1 ? '.' : picture[i];
    if (is == '.' ? leads_on : word != 0 && !leads_on) {
      return testing::AssertionFailure() << name << ": word " << i << " is " << word;
    }
  }
  return testing::AssertionSuccess();
}

TEST(BlockShapes, ArePicturesOfEveryBlockThatHasThem) {
  size_t pictures = 0;
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    const auto process = random_heap(seed);
    std::map<std::string, uint64_t> blocks;
    process->objects.for_each([&](ObjectId, Address address, uint64_t size, AllocationState) {
      const std::string name = process->name_at(address.value);
      if (name.find(' ') == name.rfind(' ')) return;  // "[24 B]": too few of its kind
      EXPECT_TRUE(is_true(*process, address, size, name)) << seed;
      ++blocks[name];
    });
    for (const auto& [name, count] : blocks) {
      EXPECT_GE(count, BlockShapes::kLeastBlocks) << name;
      pictures += name.ends_with("data]") ? 0 : 1;
    }
  }
  EXPECT_GT(pictures, 100U);
}

TEST(BlockShapes, AreTheSameForAnyNumberOfThreads) {
  const auto process = random_heap(7);
  std::vector<uint16_t> alone(process->objects.size(), 0), together = alone;
  const ManagedHeap managed;
  const BlockShapes one = BlockShapes::name(process->dump, process->objects, managed, alone, 1, 1);
  const BlockShapes four = BlockShapes::name(process->dump, process->objects, managed, together, 1, 4);
  EXPECT_EQ(one.names, four.names);
  EXPECT_EQ(alone, together);
  EXPECT_GT(one.names.size(), 3U);
}

TEST(BlockShapes, LeavesJoinInnerNodes) {
  TypedMemory memory;
  std::vector<uint64_t> nodes, numbers;
  for (int i = 0; i < 63; ++i) nodes.push_back(memory.allocate(24));
  for (int i = 0; i < 20; ++i) numbers.push_back(memory.allocate(24));
  for (uint64_t i = 0; i < nodes.size(); ++i) {
    const bool is_inner = 2 * i + 2 < nodes.size();
    memory.put(nodes[i], {is_inner ? nodes[2 * i + 1] : 0, is_inner ? nodes[2 * i + 2] : 0, 100 + i});
  }
  for (uint64_t i = 0; i < numbers.size(); ++i) memory.put(numbers[i], {i + 1, i + 2, i + 3});
  const auto process = memory.infer();
  for (uint64_t node : nodes) EXPECT_EQ(process->name_at(node), "[24 B **.]");
  for (uint64_t number : numbers) EXPECT_EQ(process->name_at(number), "[24 B data]");
}

TEST(BlockShapes, FewOfAKindKeepTheNameOfTheirSize) {
  for (size_t count : {BlockShapes::kLeastBlocks - 1, BlockShapes::kLeastBlocks}) {
    TypedMemory memory;
    std::vector<uint64_t> blocks;
    for (size_t i = 0; i < count; ++i) blocks.push_back(memory.allocate(40));
    for (uint64_t block : blocks) memory.put(block, {7, blocks[0], 9});
    EXPECT_EQ(memory.infer()->name_at(blocks[1]), count < BlockShapes::kLeastBlocks ? "[40 B]" : "[40 B .*...]");
  }
}

}  // namespace
}  // namespace heapwalk
