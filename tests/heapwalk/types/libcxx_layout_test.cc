// libc++'s containers by hand, in the layouts of several of its versions.
#include <gtest/gtest.h>

#include <array>

#include "heapwalk/types/member_path.h"
#include "heapwalk/types/type_layout.h"

namespace heapwalk {
namespace {

Field field(std::string_view name, TypeId type, uint64_t offset_bytes) {
  return {.name = name, .type = type, .offset_bytes = offset_bytes};
}

struct Table {
  TypeTableBuilder builder;
  TypeId long_ = builder.base("unsigned long", 8, BaseEncoding::unsigned_integer);
  TypeId int_ = builder.base("int", 4, BaseEncoding::signed_integer);
  TypeId byte_ = builder.base("unsigned char", 1, BaseEncoding::unsigned_integer);
  TypeId char_ = builder.base("char", 1, BaseEncoding::character);

  TypeId record(std::string_view name, uint64_t size_bytes, std::vector<Field> fields,
                std::vector<TypeId> arguments = {}, TypeKind kind = TypeKind::record) {
    const TypeId id = builder.open(kind, name, size_bytes).id;
    EXPECT_EQ(builder.fill(id, std::move(fields), std::move(arguments)), 0U);
    return id;
  }
  TypeId pointer(TypeId target) { return builder.pointer_to(target); }
  TypeLayout layout(TypeId type) const {
    Containers containers(builder.table());
    TypeLayouts layouts(builder.table(), containers);
    return layouts.of(type);
  }
  // A string of the layout that has its size and flag byte there, and the pointer there, when it is long.
  TypeId string(uint64_t flag_offset, uint64_t pointer_offset) {
    const TypeId long_form = record("", 24,
                                    {field("__data_", pointer(char_), pointer_offset), field("__size_", long_, 8),
                                     field("__cap_", long_, 16 - pointer_offset)});
    const TypeId short_form =
        record("", 24, {field("__size_", byte_, flag_offset), field("__data_", builder.array_of(char_, 23), 0)});
    const TypeId rep = record("", 24, {field("__s", short_form, 0), field("__l", long_form, 0)}, {}, TypeKind::union_);
    return record("std::__1::basic_string<char>", 24, {field("__r_", rep, 0)}, {char_});
  }
};

using Words = std::array<uint64_t, 3>;
bool holds(const TypeLayout& layout, const Words& words) {
  return layout.holds(layout.slots.at(0).guard, reinterpret_cast<const std::byte*>(words.data()), sizeof words);
}

TEST(LibcxxLayout, StringsPointToTheHeapWhenTheirBitSaysSo) {
  Table usual;
  const TypeLayout first = usual.layout(usual.string(0, 16));  // the lowest bit of the first byte
  ASSERT_EQ(first.slots.size(), 1U);
  EXPECT_EQ(first.slots[0].offset_bytes, 16U);
  EXPECT_EQ(first.ranges.at(first.slots[0].range).length_offset_bytes, 8U);
  EXPECT_TRUE(holds(first, {49, 40, 0x5555000}));
  EXPECT_FALSE(holds(first, {48, 40, 0x5555000}));
  ASSERT_EQ(first.kinds.size(), 1U);  // without the bit all of it is characters
  EXPECT_EQ(first.kinds[0].kind, EdgeKind::tainted);
  EXPECT_EQ(first.guarded.back().kind, EdgeKind::exact);
  EXPECT_EQ(first.guarded.back().begin, 16U);

  Table other;
  const TypeLayout last = other.layout(other.string(23, 0));  // the highest bit of the last byte
  EXPECT_EQ(last.slots.at(0).offset_bytes, 0U);
  EXPECT_TRUE(holds(last, {0x5555000, 40, uint64_t{0x80} << 56 | 48}));
  EXPECT_FALSE(holds(last, {0x5555000, 40, uint64_t{0x7f} << 56 | 0xff}));
}

TEST(LibcxxLayout, VectorsOfBothFormsKnowTheirRoom) {
  for (std::string_view form : {"__end_cap_", "__cap_"}) {
    Table t;
    const TypeId link = t.pointer(t.int_);
    TypeId limit = link;
    if (form == "__end_cap_") limit = t.record("std::__1::__compressed_pair<int*>", 8, {field("__value_", link, 0)});
    const TypeId vector = t.record("std::__1::vector<int>", 24,
                                   {field("__begin_", link, 0), field("__end_", link, 8), field(form, limit, 16)});
    const TypeLayout layout = t.layout(vector);
    ASSERT_EQ(layout.ranges.size(), 1U) << form;
    EXPECT_EQ(layout.ranges[0].end_offset_bytes, 8U);
    EXPECT_EQ(layout.ranges[0].limit_offset_bytes, 16U);
  }
}

TEST(LibcxxLayout, TreesLeadToTheirNodes) {
  for (std::string_view space : {"std::__1::", "std::__ndk1::"}) {
    Table t;
    const std::string prefix(space);
    const TypeId base = t.builder.open(TypeKind::record, prefix + "__tree_node_base<void *>", 32).id;
    const TypeId link = t.pointer(base);
    const TypeId end = t.record(prefix + "__tree_end_node<X *>", 8, {field("__left_", link, 0)});
    Field inherited = field("", end, 0);
    inherited.is_base = true;
    t.builder.fill(base,
                   {inherited, field("__right_", link, 8), field("__parent_", t.pointer(end), 16),
                    field("__is_black_", t.byte_, 24)},
                   {});
    Field links = field("", base, 0);
    links.is_base = true;
    const TypeId node = t.record(prefix + "__tree_node<int *, void *>", 40,
                                 {links, field("__value_", t.pointer(t.int_), 32)}, {t.pointer(t.int_), kNoType});
    const TypeId tree = t.record(prefix + "__tree<int *, L, A>", 16,
                                 {field("__begin_node_", t.pointer(end), 0), field("__end_node_", end, 8)},
                                 {t.pointer(t.int_), kNoType, kNoType});
    for (const PointerSlot& slot : t.layout(tree).slots) EXPECT_EQ(slot.target, node);
    const TypeLayout layout = t.layout(node);
    ASSERT_EQ(layout.slots.size(), 4U);
    EXPECT_EQ(layout.slots[2].target, node);
    EXPECT_EQ(layout.slots[3].target, t.int_);
    EXPECT_FALSE(layout.slots[3].is_container);
    EXPECT_TRUE(Containers(t.builder.table()).is_node_base(end));
  }
}

TEST(LibcxxLayout, VariantsAreWhatTheirIndexSays) {
  Table t;
  const TypeId text = t.record("Alt1", 8, {field("__value", t.pointer(t.char_), 0)});
  const TypeId number = t.record("Alt0", 8, {field("__value", t.long_, 0)});
  const TypeId tail = t.record("", 8, {field("__head", text, 0)}, {}, TypeKind::union_);
  const TypeId all = t.record("", 8, {field("__head", number, 0), field("__tail", tail, 0)}, {}, TypeKind::union_);
  const TypeLayout layout = t.layout(
      t.record("std::__1::__variant_detail::__base<X>", 16, {field("__data", all, 0), field("__index", t.int_, 8)}));
  ASSERT_EQ(layout.slots.size(), 1U);
  EXPECT_TRUE(holds(layout, {0, 1, 0}));
  EXPECT_FALSE(holds(layout, {0, 0, 0}));
  EXPECT_FALSE(holds(layout, {0, 0x101, 0}));
}

TEST(LibcxxLayout, WhatIsInsideAGuardedValueNeedsBoth) {
  Table t;
  const TypeId inner = t.record("std::__1::__optional_destruct_base<X>", 16,
                                {field("__val_", t.pointer(t.int_), 0), field("__engaged_", t.byte_, 8)});
  const TypeLayout layout = t.layout(t.record("std::__1::__optional_destruct_base<Y>", 24,
                                              {field("__val_", inner, 0), field("__engaged_", t.byte_, 16)}));
  EXPECT_TRUE(holds(layout, {0, 1, 1}));
  EXPECT_FALSE(holds(layout, {0, 1, 0}));
  EXPECT_FALSE(holds(layout, {0, 0, 1}));
}

TEST(MemberPath, FindsTheOutermostOfSeveralNames) {
  Table t;
  const TypeId inner = t.record("Inner", 16, {field("size", t.long_, 0), field("room", t.long_, 8)});
  const TypeId outer = t.record("Outer", 24, {field("inner", inner, 0), field("size", t.long_, 16)});
  const TypeTable& types = t.builder.table();
  EXPECT_EQ(find_member(types, outer, "size")->offset_bytes, 16U);
  EXPECT_EQ(find_member(types, outer, "inner.size")->offset_bytes, 0U);
  EXPECT_EQ(find_member(types, outer, "gone|room")->offset_bytes, 8U);
  EXPECT_FALSE(find_member(types, outer, "gone"));
  EXPECT_FALSE(find_member(types, outer, "size.inner"));
  EXPECT_FALSE(find_member(types, outer, ""));
}

}  // namespace
}  // namespace heapwalk
