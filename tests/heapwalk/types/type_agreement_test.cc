// Whether a block can be a certain record, by where its own pointers lead.
#include "heapwalk/types/type_agreement.h"

#include <gtest/gtest.h>

#include "tests/support/typed_memory.h"

namespace heapwalk::test {
namespace {

// A Dict may be 32 bytes: a pointer to its methods (a variable), one to its owner and one to its table (both on the heap).
struct Scene {
  TypedMemory memory;
  TypeId methods = memory.record("Methods", 16, {{"hash", memory.pointer(memory.types.function()), 0}});
  TypeId other = memory.record("Other", 16, {{"first", memory.long_, 0}});
  TypeId big_methods = memory.record("BigMethods", 32, {{"base", methods, 0}, {"more", memory.long_, 16}});
  TypeId owner = memory.record("Owner", 40, {{"id", memory.long_, 0}});
  TypeId dict = memory.record("Dict", 32,
                              {{"methods", memory.pointer(methods), 0},
                               {"owner", memory.pointer(owner), 8},
                               {"call", memory.pointer(memory.types.function()), 16}});
  uint64_t block = memory.allocate(40);
  uint64_t known_owner = memory.allocate(40);
  uint64_t known_other = memory.allocate(24);
  uint64_t unknown = memory.allocate(40);
  uint64_t small = memory.allocate(24);
  uint64_t methods_at = memory.variable("methods", methods);
  uint64_t other_at = memory.variable("other", other);
  uint64_t big_at = memory.variable("big", big_methods);
  uint64_t array_at = memory.variable("array", memory.types.array_of(methods, 2));

  Scene() {
    memory.put(memory.variable("an_owner", memory.pointer(owner)), {known_owner});
    memory.put(memory.variable("an_other", memory.pointer(other)), {known_other});
  }

  // Of a Dict with these words. `known`: how well the types of the known objects are known.
  Agreement agreement(uint64_t first, uint64_t second, uint64_t third, Strength known = Strength::value) {
    memory.put(block, {first, second, third});
    const auto process = memory.infer();
    EXPECT_EQ(process->name_at(known_owner), "Owner");
    EXPECT_EQ(process->name_at(known_other), "Other");
    ClaimState state;
    state.types = const_cast<ObjectTypes*>(process->types.get());
    state.strengths.assign(16, known);
    const TypeAgreement asked(process->dump, process->objects, state, process->roots.variables);
    return asked.of(state.make_layouts(dict), Address{block});
  }
};

TEST(TypeAgreement, NullPointersSayNothing) {
  const Agreement agreement = Scene().agreement(0, 0, 0);
  EXPECT_EQ(agreement.confirmed(), 0U);
  EXPECT_FALSE(agreement.contradicted);
  EXPECT_TRUE(agreement.is_possible());
}

TEST(TypeAgreement, KnownObjectsAndVariablesConfirm) {
  Scene scene;
  const Agreement agreement = scene.agreement(scene.methods_at, scene.known_owner, 0);
  EXPECT_EQ(agreement.variables, 1U);
  EXPECT_EQ(agreement.objects, 1U);
  EXPECT_TRUE(agreement.is_possible());
}

TEST(TypeAgreement, WhatBeginsWithTheTypeConfirms) {
  Scene first;
  EXPECT_EQ(first.agreement(first.big_at, 0, 0).variables, 1U);
  Scene second;
  EXPECT_EQ(second.agreement(second.array_at, 0, 0).variables, 1U);
  Scene third;  // in the middle of a variable nothing begins
  EXPECT_EQ(third.agreement(third.big_at + 16, 0, 0).confirmed(), 0U);
}

TEST(TypeAgreement, SomethingElseContradicts) {
  Scene variable;
  EXPECT_TRUE(variable.agreement(variable.other_at, variable.known_owner, 0).contradicted);
  Scene object;
  const Agreement agreement = object.agreement(object.methods_at, object.known_other, 0);
  EXPECT_TRUE(agreement.contradicted);
  EXPECT_FALSE(agreement.is_possible());
}

TEST(TypeAgreement, WhatIsHardlyKnownDoesNotContradict) {
  Scene scene;
  EXPECT_FALSE(scene.agreement(0, scene.known_other, 0, Strength::prefix).contradicted);
}

TEST(TypeAgreement, UnknownObjectsNeedTheRoom) {
  Scene fits;
  const Agreement agreement = fits.agreement(0, fits.unknown, 0);
  EXPECT_FALSE(agreement.contradicted);
  EXPECT_EQ(agreement.confirmed(), 0U);
  Scene small;
  EXPECT_TRUE(small.agreement(0, small.small, 0).contradicted);
  Scene inside;  // what lies there, its start does not say
  EXPECT_FALSE(inside.agreement(0, inside.small + 8, 0).contradicted);
}

TEST(TypeAgreement, NoFunctionIsOnTheHeap) {
  Scene scene;
  EXPECT_TRUE(scene.agreement(0, 0, scene.unknown).contradicted);
}

TEST(TypeAgreement, PointersToNothingAreDoubts) {
  Scene doubtful;
  const Agreement one = doubtful.agreement(doubtful.methods_at, TypedMemory::kNowhere, 0);
  EXPECT_EQ(one.doubts, 1U);
  EXPECT_FALSE(one.contradicted);
  EXPECT_FALSE(one.is_possible());  // as much for it as against it
  Scene better;
  const Agreement two = better.agreement(better.methods_at, better.known_owner, TypedMemory::kNowhere);
  EXPECT_EQ(two.doubts, 1U);
  EXPECT_TRUE(two.is_possible());
}

// absl's nodes grow; the pointer does not say to which of their sizes it leads.
TEST(TypeAgreement, LargerFormsOfANodeConfirm) {
  TypedMemory memory;
  const std::string internal = "absl::container_internal::";
  const std::string name = internal + "set_params<long, L, A, 256, false>";
  const TypeId parameters = memory.record(name, 1, {}, {memory.long_});
  const TypeId node = memory.record(internal + "btree_node<" + name + ">", 1, {}, {parameters});
  const TypeId tree = memory.record(internal + "btree<" + name + ">", 16,
                                    {{"root_", memory.pointer(node), 0}, {"size_", memory.long_, 8}}, {parameters});
  const TypeId holder = memory.record("Holder", 16, {{"tree", tree, 0}});
  const uint64_t leaf = memory.allocate(80);  // of eight slots
  memory.put(memory.variable("tree", tree), {leaf, 1});
  const uint64_t block = memory.allocate(24);
  memory.put(block, {leaf, 1});
  const auto process = memory.infer();
  ASSERT_EQ(process->name_at(leaf), internal + "btree_node<" + name + ">");
  ClaimState state;
  state.types = const_cast<ObjectTypes*>(process->types.get());
  state.strengths.assign(16, Strength::container);
  const TypeAgreement asked(process->dump, process->objects, state, process->roots.variables);
  const Agreement agreement = asked.of(state.make_layouts(holder), Address{block});
  EXPECT_FALSE(agreement.contradicted);
  EXPECT_EQ(agreement.objects, 1U);
}

TEST(TypeAgreement, WhatIsNotInTheCoreIsNoRecord) {
  Scene scene;
  const auto process = scene.memory.infer();
  ClaimState state;
  state.types = const_cast<ObjectTypes*>(process->types.get());
  const TypeAgreement asked(process->dump, process->objects, state, process->roots.variables);
  EXPECT_TRUE(asked.of(state.make_layouts(scene.dict), Address{TypedMemory::kNowhere}).contradicted);
  EXPECT_EQ(asked.variable_at(Address{scene.methods_at}), scene.methods);
  EXPECT_EQ(asked.variable_at(Address{scene.methods_at + 8}), kNoType);
}

}  // namespace
}  // namespace heapwalk::test
