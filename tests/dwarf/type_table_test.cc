#include "dwarf/type_table.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace heapwalk {
namespace {

TEST(TypeTable, OneCopyOfEach) {
  TypeTableBuilder builder;
  TypeId number = builder.base("int", 4, BaseEncoding::signed_integer);
  EXPECT_EQ(builder.base("int", 4, BaseEncoding::signed_integer), number);
  EXPECT_NE(builder.base("int", 8, BaseEncoding::signed_integer), number);
  EXPECT_NE(builder.base("int", 4, BaseEncoding::unsigned_integer), number);
  TypeId pointer = builder.pointer_to(number);
  EXPECT_EQ(builder.pointer_to(number), pointer);
  EXPECT_NE(builder.pointer_to(number, PointerForm::reference), pointer);
  EXPECT_EQ(builder.array_of(number, 3), builder.array_of(number, 3));
  EXPECT_NE(builder.array_of(number, 3), builder.array_of(number, 4));
  EXPECT_EQ(builder.function(), builder.function());
  EXPECT_EQ(builder.enumeration("E", 4, number), builder.enumeration("E", 4, number));
  auto first = builder.open(TypeKind::record, "ns::S", 16);
  EXPECT_TRUE(first.is_new);
  auto again = builder.open(TypeKind::record, "ns::S", 16);
  EXPECT_FALSE(again.is_new);
  EXPECT_EQ(again.id, first.id);
  EXPECT_TRUE(builder.open(TypeKind::record, "ns::S", 24).is_new);
  EXPECT_NE(builder.open(TypeKind::record, "", 8).id, builder.open(TypeKind::record, "", 8).id);
  EXPECT_EQ(builder.known(TypeKind::record, "ns::S", 16), first.id);
  EXPECT_EQ(builder.known(TypeKind::record, "ns::S", 17), std::nullopt);
  EXPECT_TRUE(builder.table().check());
}

TEST(TypeTable, SpelledAsAProgrammerWould) {
  TypeTableBuilder builder;
  TypeId number = builder.base("int", 4, BaseEncoding::signed_integer);
  const auto spelled = [&](TypeId id) { return builder.table().spelled(id); };
  EXPECT_EQ(spelled(kNoType), "void");
  EXPECT_EQ(spelled(builder.pointer_to(kNoType)), "void*");
  EXPECT_EQ(spelled(builder.pointer_to(builder.pointer_to(number), PointerForm::reference)), "int*&");
  EXPECT_EQ(spelled(builder.array_of(number, 16)), "int[16]");
  EXPECT_EQ(spelled(builder.array_of(builder.pointer_to(number), 0)), "int*[]");
  EXPECT_EQ(spelled(builder.pointer_to(builder.function())), "function*");
  EXPECT_EQ(spelled(builder.open(TypeKind::union_, "", 8).id), "(anonymous union)");
}

TEST(TypeTable, ADeclarationBecomesItsDefinition) {
  TypeTableBuilder builder;
  TypeId declared = builder.declare("S");
  TypeId pointer = builder.pointer_to(declared);
  EXPECT_EQ(builder.table()[declared].kind, TypeKind::declaration);
  EXPECT_EQ(builder.table().find("S"), std::nullopt);
  auto opened = builder.open(TypeKind::record, "S", 8);
  EXPECT_TRUE(opened.is_new);
  EXPECT_EQ(opened.id, declared);
  EXPECT_EQ(builder.table()[builder.table()[pointer].target].size_bytes, 8u);
  EXPECT_EQ(builder.declare("S"), declared);
  EXPECT_EQ(builder.table().find("S"), declared);
}

TEST(TypeTable, FieldsThatCannotBeAreDropped) {
  TypeTableBuilder builder;
  TypeId number = builder.base("long", 8, BaseEncoding::signed_integer);
  TypeId a = builder.open(TypeKind::record, "A", 16).id;
  TypeId b = builder.open(TypeKind::record, "B", 16).id;
  EXPECT_EQ(
      builder.fill(a, {{"b", b, 0}, {"second", number, 8}, {"first", number, 0}, {"self", builder.pointer_to(a), 8}},
                   {kNoType, number}),
      0u);
  EXPECT_EQ(builder.fill(b,
                         {{"circle", builder.array_of(a, 1), 0},
                          {"outside", number, 9},
                          {"far", number, UINT64_MAX},
                          {"unknown", TypeId{12345}, 0},
                          {"flexible", builder.array_of(number, 0), 16}},
                         {TypeId{777}}),
            5u);
  const TypeTable& table = builder.table();
  ASSERT_EQ(table.fields(a).size(), 4u);
  EXPECT_EQ(table.fields(a)[1].name, "first");
  EXPECT_EQ(table.arguments(a).size(), 2u);
  ASSERT_EQ(table.fields(b).size(), 1u);
  EXPECT_EQ(table.fields(b)[0].name, "flexible");
  EXPECT_TRUE(table.check());
}

TEST(TypeTable, NamesStayWhereTheyAre) {
  TypeTableBuilder builder;
  std::vector<TypeId> ids;
  for (int i = 0; i < 3000; ++i) {
    ids.push_back(builder.open(TypeKind::record, std::string(i % 100 * 10, 'x') + std::to_string(i), 8).id);
  }
  builder.open(TypeKind::record, std::string(200'000, 'y'), 8);
  TypeTable table = std::move(builder).finish();
  for (int i = 0; i < 3000; ++i) {
    std::string name = std::string(i % 100 * 10, 'x') + std::to_string(i);
    EXPECT_EQ(table[ids[i]].name, name);
    EXPECT_EQ(table.find(name), ids[i]);
  }
}

}  // namespace
}  // namespace heapwalk
