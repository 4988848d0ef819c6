// What is added to the table for libraries that lay their records out themselves.
#include "heapwalk/types/library_types.h"

#include <gtest/gtest.h>

#include "heapwalk/types/type_layout.h"
#include "tests/support/typed_memory.h"

namespace heapwalk::test {
namespace {

const std::string kInternal = "absl::lts_20240722::container_internal::";

// The sizes of a node's forms, the smallest first.
std::vector<uint64_t> form_sizes(const TypeTable& types, const LibraryTypes& library, TypeId node) {
  std::vector<uint64_t> sizes;
  for (TypeId form = library.described.at(node);;) {
    sizes.push_back(types.size_bytes(form));
    EXPECT_EQ(types[form].name, types[node].name);
    const auto at = library.larger.find(form);
    if (at == library.larger.end()) return sizes;
    form = at->second;
  }
}

// btree_node<set_params<key, …, target, false>>
TypeId set_node(TypedMemory& memory, TypeId key, const std::string& target) {
  const std::string name = kInternal + "set_params<K, std::less<K>, std::allocator<K>, " + target + ", false>";
  const TypeId parameters = memory.record(name, 1, {}, {key, kNoType, kNoType, kNoType, kNoType});
  return memory.record(kInternal + "btree_node<" + name + " >", 1, {}, {parameters});
}

TEST(LibraryTypes, NodesOfTreesHaveTheSizesThatTheyAreAllocatedWith) {
  struct Case {
    uint64_t key_bytes;
    std::string target;
    std::vector<uint64_t> sizes;
  };
  // Slots follow the parent and four counts, aligned; a leaf fills 256 bytes, and has four slots at least.
  const std::vector<Case> cases = {
      {4, "256", {16, 20, 28, 44, 76, 140, 256, 256 + 62 * 8}},
      {8, "256", {24, 32, 48, 80, 144, 256, 256 + 31 * 8}},
      {2, "256", {14, 16, 20, 28, 44, 76, 140, 256, 256 + 123 * 8}},
      {8, "4", {24, 32, 48, 48 + 5 * 8}},
      {1, "2048", {17, 18, 20, 24, 32, 48, 80, 144, 272, 528, 1040, 2048, 2048 + 2033 * 8}}};
  for (const Case& test : cases) {
    TypedMemory memory;
    const TypeId key = memory.types.base("key", test.key_bytes, BaseEncoding::unsigned_integer);
    const TypeId node = set_node(memory, key, test.target);
    TypeTable types = std::move(memory.types).finish();
    const LibraryTypes library = add_library_types(types);
    EXPECT_EQ(form_sizes(types, library, node), test.sizes) << test.key_bytes << " in " << test.target;
    EXPECT_TRUE(types.check());
    EXPECT_EQ(types.size_bytes(node), 1U);
  }
}

TEST(LibraryTypes, TreesOfPairsAreFoundByKeyAndValue) {
  TypedMemory memory;
  const TypeId text = memory.record("Text", 32, {{"begin", memory.pointer(memory.long_), 0}});
  const TypeId plain = memory.record("std::pair<long, Text>", 40, {{"first", memory.long_, 0}, {"second", text, 8}},
                                     {memory.long_, text});
  const TypeId pair = memory.record("std::pair<const long, Text>", 40,
                                    {{"first", memory.long_, 0}, {"second", text, 8}}, {memory.long_, text});
  const TypeId parameters = memory.record(kInternal + "map_params_impl<long, Text>", 1, {}, {memory.long_, text});
  const TypeId node = memory.record(kInternal + "btree_node<map_params_impl<long, Text> >", 1, {}, {parameters});
  const TypeId tree = memory.record(kInternal + "btree<map_params_impl<long, Text> >", 16,
                                    {{"root_", memory.pointer(node), 0}, {"size_", memory.long_, 8}}, {parameters});
  TypeTable types = std::move(memory.types).finish();
  const LibraryTypes library = add_library_types(types);
  EXPECT_EQ(form_sizes(types, library, node), (std::vector<uint64_t>{56, 96, 176, 256, 256 + 7 * 8}));
  const TypeId leaf = library.described.at(node);
  EXPECT_EQ(types[types.fields(leaf).back().type].target, pair);
  EXPECT_NE(types[types.fields(leaf).back().type].target, plain);

  const Containers containers(types, library);
  TypeLayouts layouts(types, containers);
  EXPECT_EQ(layouts.of(tree).slots.at(0).target, leaf);
  EXPECT_TRUE(layouts.of(tree).slots[0].is_container);
  const TypeId second = containers.larger(leaf);
  EXPECT_EQ(containers.smallest(containers.larger(second)), leaf);
  const TypeLayout& layout = layouts.of(second);  // parent, and one pointer of each Text if it is in use
  ASSERT_EQ(layout.slots.size(), 3U);
  EXPECT_EQ(layout.slots[0].target, leaf);
  for (size_t i : {size_t{1}, size_t{2}}) {
    const Guard& guard = layout.guards.at(layout.slots[i].guard);
    EXPECT_EQ(guard.offset_bytes, 10U);  // finish
    EXPECT_EQ(guard.test, Guard::Test::above);
    EXPECT_EQ(guard.value, i - 1);
  }
  EXPECT_TRUE(layout.is_node);
  EXPECT_EQ(layout.filled_offset_bytes, 10U);
}

// There is a child more than values.
TEST(LibraryTypes, InnerNodesLeadToTheirChildren) {
  TypedMemory memory;
  const TypeId node = set_node(memory, memory.long_, "64");
  TypeTable types = std::move(memory.types).finish();
  const LibraryTypes library = add_library_types(types);
  const Containers containers(types, library);
  TypeLayouts layouts(types, containers);
  TypeId inner = library.described.at(node);
  while (containers.larger(inner) != kNoType) inner = containers.larger(inner);
  const TypeLayout& layout = layouts.of(inner);
  ASSERT_EQ(layout.slots.size(), 1U + 7);
  for (const PointerSlot& slot : layout.slots) EXPECT_EQ(slot.target, library.described.at(node));
  EXPECT_EQ(layout.slots[1].offset_bytes, 64U);
  EXPECT_EQ(layout.slots[1].guard, PointerSlot::kNone);
  EXPECT_EQ(layout.guards.at(layout.slots[7].guard).value, 5U);
}

TEST(LibraryTypes, SlotsOfHashTablesAreWhatThePolicySays) {
  TypedMemory memory;
  const TypeId text = memory.record("Text", 32, {});
  const TypeId pair = memory.record("std::pair<long const, Text>", 40, {}, {memory.long_, text});
  const auto table = [&](const std::string& policy, std::vector<TypeId> arguments) {
    const TypeId id = memory.record(kInternal + policy, 1, {}, std::move(arguments));
    return memory.record(kInternal + "raw_hash_set<" + policy + ">", 40, {}, {id});
  };
  const TypeId flat_set = table("FlatHashSetPolicy<Text>", {text});
  const TypeId node_set = table("NodeHashSetPolicy<Text>", {text});
  const TypeId flat_map = table("FlatHashMapPolicy<long, Text>", {memory.long_, text});
  const TypeId node_map = table("NodeHashMapPolicy<long, Text>", {memory.long_, text});
  const TypeId no_pair = table("FlatHashMapPolicy<Text, long>", {text, memory.long_});
  const TypeId unknown = table("OtherPolicy<Text>", {text});
  TypeTable types = std::move(memory.types).finish();
  const LibraryTypes library = add_library_types(types);
  EXPECT_EQ(library.elements.at(flat_set), text);
  EXPECT_EQ(library.elements.at(flat_map), pair);
  EXPECT_EQ(types.spelled(library.elements.at(node_set)), "Text*");
  EXPECT_EQ(types.spelled(library.elements.at(node_map)), "std::pair<long const, Text>*");
  EXPECT_FALSE(library.elements.contains(no_pair));
  EXPECT_FALSE(library.elements.contains(unknown));
}

TEST(LibraryTypes, BucketsLeadToNodes) {
  TypedMemory memory;
  const std::string detail = "boost::unordered::detail::";
  const TypeId bucket = memory.types.open(TypeKind::record, detail + "ptr_bucket", 8).id;
  memory.types.fill(bucket, {{.name = "next_", .type = memory.pointer(bucket)}}, {});
  const TypeId node =
      memory.record(detail + "ptr_node<long>", 24, {{"next_", memory.pointer(bucket), 0}}, {memory.long_});
  TypeTable types = std::move(memory.types).finish();
  const LibraryTypes library = add_library_types(types);
  const TypeId array = library.buckets.at(node);
  EXPECT_EQ(types[array].name, detail + "ptr_bucket");
  EXPECT_EQ(types[types.fields(array).front().type].target, node);
  EXPECT_EQ(types.find(detail + "ptr_bucket"), bucket);
}

TEST(LibraryTypes, OtherTablesStayAsTheyAre) {
  TypedMemory memory;
  memory.record("std::pair<long, long>", 16, {}, {memory.long_, memory.long_});
  TypeTable types = std::move(memory.types).finish();
  const uint32_t size = types.size();
  const LibraryTypes library = add_library_types(types);
  EXPECT_EQ(types.size(), size);
  EXPECT_TRUE(library.described.empty() && library.elements.empty() && library.buckets.empty());
}

// Sizes that no program has.
TEST(LibraryTypes, AbsurdNodesAreLeftOut) {
  for (const uint64_t key_bytes : {uint64_t{0}, uint64_t{1} << 40}) {
    TypedMemory memory;
    const TypeId key = memory.record("Key", key_bytes, {});
    const TypeId node = set_node(memory, key, "99999999999999999999");
    TypeTable types = std::move(memory.types).finish();
    EXPECT_FALSE(add_library_types(types).described.contains(node)) << key_bytes;
  }
}

}  // namespace
}  // namespace heapwalk::test
