// Types by hand, laid flat: which words are pointers, and what the places inside are called.
#include "heapwalk/types/type_layout.h"

#include <gtest/gtest.h>

#include "heapwalk/field_names.h"
#include "heapwalk/types/element_use.h"

namespace heapwalk {
namespace {

class Table {
 public:
  TypeTableBuilder builder;
  TypeId long_ = builder.base("long", 8, BaseEncoding::signed_integer);
  TypeId int_ = builder.base("int", 4, BaseEncoding::signed_integer);
  TypeId char_ = builder.base("char", 1, BaseEncoding::character);
  TypeId double_ = builder.base("double", 8, BaseEncoding::floating);

  TypeId record(std::string_view name, uint64_t size_bytes, std::vector<Field> fields,
                std::vector<TypeId> arguments = {}, TypeKind kind = TypeKind::record) {
    TypeId id = builder.open(kind, name, size_bytes).id;
    EXPECT_EQ(builder.fill(id, std::move(fields), std::move(arguments)), 0U);
    return id;
  }
  TypeId pointer(TypeId target) { return builder.pointer_to(target); }
};

Field field(std::string_view name, TypeId type, uint64_t offset_bytes) {
  return {.name = name, .type = type, .offset_bytes = offset_bytes};
}

// "+8→Session +16→char* | 0..8 conservative 8..24 exact"
std::string describe(const TypeTable& types, TypeId type) {
  EXPECT_TRUE(types.check());
  Containers containers(types);
  TypeLayouts layouts(types, containers);
  const TypeLayout& layout = layouts.of(type);
  std::string text;
  for (const PointerSlot& slot : layout.slots) {
    text += "+" + std::to_string(slot.offset_bytes) + "→" + types.spelled(slot.target) +
            (slot.is_container ? "(container)" : "") + (slot.is_weak ? "(weak)" : "");
    if (slot.range != PointerSlot::kNone) {
      text += "(to +" + std::to_string(layout.ranges[slot.range].end_offset_bytes) + ")";
    }
    text += " ";
  }
  const char* names[] = {"exact", "conservative", "tainted"};
  uint32_t expected = 0;
  for (const KindRange& range : layout.kinds) {
    EXPECT_EQ(range.begin, expected);
    expected = range.end;
    text += "| " + std::to_string(range.begin) + ".." + std::to_string(range.end) + " " +
            names[static_cast<size_t>(range.kind)] + " ";
  }
  EXPECT_EQ(expected, layout.size_bytes);
  return text;
}

std::string name_at(const TypeTable& types, TypeId type, uint64_t offset) {
  Containers containers(types);
  return field_name(types, containers, type, offset);
}

TEST(FieldName, AnEmptyBaseHidesNoMember) {
  Table t;
  Field base = field("Tag", t.record("Tag", 1, {}), 0);
  base.is_base = true;
  TypeId pair =
      t.record("Pair", 16, {base, field("first", t.pointer(t.int_), 0), field("second", t.pointer(t.int_), 8)});
  EXPECT_EQ(name_at(t.builder.table(), pair, 0), "first");
  EXPECT_EQ(name_at(t.builder.table(), pair, 8), "second");
}

TEST(TypeLayout, WordsOfARecord) {
  Table t;
  TypeId node = t.builder.open(TypeKind::record, "Node", 48).id;
  t.builder.fill(node,
                 {field("id", t.long_, 0), field("next", t.pointer(node), 8), field("small", t.int_, 16),
                  field("text", t.builder.array_of(t.char_, 8), 24), field("x", t.double_, 32),
                  field("who", t.pointer(kNoType), 40)},
                 {});
  EXPECT_EQ(describe(t.builder.table(), node),
            "+8→Node +40→void | 0..8 conservative | 8..16 exact | 16..40 tainted | 40..48 exact ");
  EXPECT_EQ(name_at(t.builder.table(), node, 8), "next");
  EXPECT_EQ(name_at(t.builder.table(), node, 27), "text[…]");
  EXPECT_EQ(name_at(t.builder.table(), node, 20), "+0x14");
  EXPECT_EQ(name_at(t.builder.table(), node, 99), "+0x63");
}

TEST(TypeLayout, NestedArraysAndBases) {
  Table t;
  TypeId base = t.record("Base", 8, {field("owner", t.pointer(t.int_), 0)});
  TypeId item = t.record("Item", 16, {field("key", t.long_, 0), field("value", t.pointer(t.char_), 8)});
  Field inherited = field("Base", base, 0);
  inherited.is_base = true;
  TypeId whole = t.record("Whole", 40, {inherited, field("items", t.builder.array_of(item, 2), 8)});
  EXPECT_EQ(describe(t.builder.table(), whole),
            "+0→int +16→char +32→char | 0..8 exact | 8..16 conservative | 16..24 exact | 24..32 conservative | "
            "32..40 exact ");
  EXPECT_EQ(name_at(t.builder.table(), whole, 0), "owner");
  EXPECT_EQ(name_at(t.builder.table(), whole, 32), "items[…].value");
}

TEST(TypeLayout, UnionsAreCertainOnlyWithOnePointerfulMember) {
  Table t;
  TypeId one =
      t.record("", 8, {field("number", t.long_, 0), field("text", t.pointer(t.char_), 0)}, {}, TypeKind::union_);
  TypeId two =
      t.record("", 8, {field("a", t.pointer(t.int_), 0), field("b", t.pointer(t.char_), 0)}, {}, TypeKind::union_);
  TypeId both = t.record("Both", 16, {field("", one, 0), field("", two, 8)});
  EXPECT_EQ(describe(t.builder.table(), both), "+0→char +8→int(weak) +8→char(weak) | 0..8 exact | 8..16 conservative ");
}

TEST(TypeLayout, MapNodesHoldTheirValues) {
  Table t;
  TypeId base = t.builder.open(TypeKind::record, "std::_Rb_tree_node_base", 32).id;
  TypeId link = t.pointer(base);
  t.builder.fill(base,
                 {field("_M_color", t.int_, 0), field("_M_parent", link, 8), field("_M_left", link, 16),
                  field("_M_right", link, 24)},
                 {});
  TypeId pair = t.record("std::pair<int const, Session*>", 16,
                         {field("first", t.int_, 0), field("second", t.pointer(t.long_), 8)});
  TypeId buffer = t.record("__gnu_cxx::__aligned_membuf<std::pair<int const, Session*> >", 16,
                           {field("_M_storage", t.builder.array_of(t.char_, 16), 0)}, {pair});
  Field inherited = field("std::_Rb_tree_node_base", base, 0);
  inherited.is_base = true;
  TypeId node = t.record("std::_Rb_tree_node<std::pair<int const, Session*> >", 48,
                         {inherited, field("_M_storage", buffer, 32)}, {pair});
  TypeId tree = t.record("std::_Rb_tree<int, std::pair<int const, Session*>, X>", 40, {field("_M_header", base, 8)},
                         {t.int_, pair, kNoType});
  TypeId map = t.record("std::map<int, Session*>", 40, {field("_M_t", tree, 0)});
  TypeId server = t.record("Server", 48, {field("port", t.long_, 0), field("sessions", map, 8)});
  const std::string self = "std::_Rb_tree_node<std::pair<int const, Session*> >(container) ";
  EXPECT_EQ(describe(t.builder.table(), node), "+8→" + self + "+16→" + self + "+24→" + self +
                                                   "+40→long | 0..8 tainted | 8..32 exact | 32..40 tainted | 40..48 "
                                                   "exact ");
  EXPECT_EQ(describe(t.builder.table(), tree),
            "+16→" + self + "+24→" + self + "+32→" + self + "| 0..16 tainted | 16..40 exact ");
  EXPECT_EQ(name_at(t.builder.table(), node, 40), "second");
  EXPECT_EQ(name_at(t.builder.table(), node, 24), "next");
  EXPECT_EQ(name_at(t.builder.table(), server, 24), "sessions");
}

TEST(TypeLayout, VectorsKnowHowMuchIsInUse) {
  Table t;
  TypeId link = t.pointer(t.long_);
  TypeId data =
      t.record("std::_Vector_base<long>::_Vector_impl_data", 24,
               {field("_M_start", link, 0), field("_M_finish", link, 8), field("_M_end_of_storage", link, 16)});
  TypeId base = t.record("std::_Vector_base<long>", 24, {field("_M_impl", data, 0)}, {t.long_});
  Field inherited = field("std::_Vector_base<long>", base, 0);
  inherited.is_base = true;
  TypeId vector = t.record("std::vector<long>", 24, {inherited}, {t.long_});
  TypeId two = t.record("Two", 48, {field("a", vector, 0), field("b", vector, 24)});
  EXPECT_EQ(describe(t.builder.table(), two),
            "+0→long(container)(to +8) +8→long(container) +16→long(container) +24→long(container)(to +32) "
            "+32→long(container) +40→long(container) | 0..48 exact ");
}

// Rust keeps the pointers of vectors and tables as pointers to bytes, deep inside.
TypeId raw_pointer(Table& t, std::string_view name, std::string_view member) {
  TypeId inner = t.record("core::ptr::non_null::NonNull<u8>", 8, {field("pointer", t.pointer(t.char_), 0)}, {t.char_});
  return t.record(name, 16, {field(member, inner, 8), field("cap", t.long_, 0)});
}

TEST(TypeLayout, RustVectorsKnowTheirElements) {
  Table t;
  TypeId raw = raw_pointer(t, "alloc::raw_vec::RawVecInner<alloc::alloc::Global>", "ptr");
  TypeId item = t.record("Item", 16, {field("key", t.long_, 0), field("value", t.pointer(t.long_), 8)});
  TypeId vec = t.record("alloc::vec::Vec<Item, alloc::alloc::Global>", 24,
                        {field("buf", raw, 0), field("len", t.long_, 16)}, {item, kNoType});
  TypeId owner = t.record("Owner", 32, {field("id", t.long_, 0), field("items", vec, 8)});
  Containers containers(t.builder.table());
  TypeLayouts layouts(t.builder.table(), containers);
  const TypeLayout& layout = layouts.of(owner);
  ASSERT_EQ(layout.slots.size(), 1U);
  EXPECT_EQ(layout.slots[0].offset_bytes, 16U);
  EXPECT_EQ(layout.slots[0].target, item);
  ASSERT_EQ(layout.ranges.size(), 1U);
  EXPECT_EQ(layout.ranges[0].count_offset_bytes, 24U);
  EXPECT_EQ(layout.ranges[0].capacity_offset_bytes, 8U);
}

TEST(TypeLayout, RustTreeNodesAreGuardedByTheirLength) {
  Table t;
  const std::string types = "<u32, u32>";
  TypeId u16 = t.builder.base("u16", 2, BaseEncoding::unsigned_integer);
  TypeId leaf = t.record("alloc::collections::btree::node::LeafNode" + types, 32,
                         {field("keys", t.builder.array_of(t.pointer(t.int_), 3), 0), field("len", u16, 24)});
  TypeId internal = t.record("alloc::collections::btree::node::InternalNode" + types, 64,
                             {field("data", leaf, 0), field("edges", t.builder.array_of(t.pointer(leaf), 4), 32)});
  TypeId root = t.record("alloc::collections::btree::node::NodeRef" + types, 16,
                         {field("node", t.pointer(leaf), 0), field("height", t.long_, 8)});
  Containers containers(t.builder.table());
  TypeLayouts layouts(t.builder.table(), containers);
  EXPECT_EQ(layouts.of(root).slots.at(0).target, leaf);
  EXPECT_EQ(containers.larger(leaf), internal);
  EXPECT_EQ(containers.smallest(internal), leaf);
  EXPECT_EQ(containers.larger(internal), kNoType);
  const TypeLayout& layout = layouts.of(internal);
  ASSERT_EQ(layout.slots.size(), 7U);
  for (size_t i = 0; i < 3; ++i) {  // key i is there when the length is above i
    const Guard& guard = layout.guards.at(layout.slots[i].guard);
    EXPECT_EQ(guard.test, Guard::Test::above);
    EXPECT_EQ(guard.offset_bytes, 24U);
    EXPECT_EQ(guard.value, i);
  }
  EXPECT_EQ(layout.slots[3].guard, PointerSlot::kNone);  // there is an edge more than keys
  EXPECT_EQ(layout.guards.at(layout.slots[4].guard).value, 0);
  EXPECT_EQ(layout.slots[4].target, leaf);
}

TEST(TypeLayout, VariantsOfRustEnumsAreToldApart) {
  Table t;
  TypeId byte = t.builder.base("u8", 1, BaseEncoding::unsigned_integer);
  Field tag = field("", byte, 0);
  tag.variant = FieldVariant::discriminant;
  Field text = field("Text", t.record("Value::Text", 16, {field("__0", t.pointer(t.char_), 8)}), 0);
  Field list = field("List", t.record("Value::List", 16, {field("__0", t.pointer(t.long_), 8)}), 0);
  text.variant = FieldVariant::when;
  text.discriminant = 0xffffffffffffff80;  // −128, as wide as the file has it
  list.variant = FieldVariant::otherwise;
  TypeId value = t.record("Value", 16, {tag, text, list}, {}, TypeKind::union_);
  Containers containers(t.builder.table());
  TypeLayouts layouts(t.builder.table(), containers);
  const TypeLayout& layout = layouts.of(value);
  ASSERT_EQ(layout.slots.size(), 2U);
  for (uint64_t number : {uint64_t{0x80}, uint64_t{0x11}}) {
    const uint64_t words[] = {number, 0x5555};
    for (const PointerSlot& slot : layout.slots) {
      EXPECT_FALSE(slot.is_weak);
      const bool is_text = slot.target == t.char_;
      EXPECT_EQ(layout.holds(slot.guard, reinterpret_cast<const std::byte*>(words), sizeof words),
                is_text == (number == 0x80));
    }
  }
  EXPECT_EQ(layout.kinds.size(), 1U);
  EXPECT_EQ(layout.kinds[0].kind, EdgeKind::tainted);
  EXPECT_EQ(layout.guarded.size(), 2U);
}

std::string used(const ElementUse& use, std::vector<uint8_t> object = {}) {
  std::string text;
  for (uint64_t at = 0; at < 6 * 8; at += 8) {
    text += use.covers(at, 8, reinterpret_cast<const std::byte*>(object.data()), object.size()) ? 'x' : '.';
  }
  return text;
}

TEST(ElementUse, OfRingsAndBuckets) {
  EXPECT_EQ(used({}), "xxxxxx");
  EXPECT_EQ(used({.bytes = 17}), "xx....");
  EXPECT_EQ(used({ElementUse::Form::ring, 24, 32, 48}), "x...xx");
  EXPECT_EQ(used({ElementUse::Form::ring, 16, 8, 48}), ".xx...");
  EXPECT_EQ(used({ElementUse::Form::ring, 0, 8, 48}), "......");
  EXPECT_EQ(used({ElementUse::Form::ring, 48, 8, 32}), "xxxx..");
  EXPECT_EQ(used({ElementUse::Form::ring, 48, 64, 48}), "......");  // a lie
  std::vector<uint8_t> object(32 + 4 + 16, 0xff);
  object[32] = 0x7f;  // the last bucket
  object[34] = 0x00;
  EXPECT_EQ(used({ElementUse::Form::buckets, 32}, object), ".x.x..");
  object.resize(34);
  EXPECT_EQ(used({ElementUse::Form::buckets, 32}, object), "...x..");
  object.assign(48, 0xff);
  object[3] = 0x7f;  // of the second slot: bytes from 2 on, slots from 16 on
  object[5] = 0x00;
  EXPECT_EQ(used({ElementUse::Form::slots, 32, 16, 2}, object), "...x.x");
  EXPECT_EQ(used({ElementUse::Form::slots, 24, 16, 2}, object), "...x..");
  EXPECT_EQ(used({ElementUse::Form::slots, 32, 16, 100}, object), "......");  // a lie
  EXPECT_EQ((ElementUse{ElementUse::Form::slots, 24, 16, 2}.end()), 40U);
}

TEST(TypeLayout, TraitObjectsAndSharedSlices) {
  Table t;
  TypeId shape = t.record("dyn Shape", 0, {});
  TypeId box = t.record("alloc::boxed::Box<dyn Shape, alloc::alloc::Global>", 16,
                        {field("pointer", t.pointer(shape), 0), field("vtable", t.pointer(t.long_), 8)});
  TypeId text = t.record(
      "alloc::sync::ArcInner<str>", 16,
      {field("strong", t.long_, 0), field("weak", t.long_, 8), field("data", t.builder.array_of(t.int_, 0), 16)});
  Containers containers(t.builder.table());
  TypeLayouts layouts(t.builder.table(), containers);
  const TypeLayout& layout = layouts.of(box);
  ASSERT_EQ(layout.ranges.size(), 1U);
  EXPECT_EQ(layout.ranges[0].vtable_offset_bytes, 8U);
  EXPECT_EQ(layout.slots.at(0).range, 0);
  EXPECT_TRUE(layouts.of(text).has_open_end);
}

TEST(TypeLayout, HugeTypesAreConservative) {
  Table t;
  TypeId huge =
      t.record("Huge", uint64_t{1} << 40, {field("all", t.builder.array_of(t.pointer(t.int_), uint64_t{1} << 36), 0)});
  Containers containers(t.builder.table());
  TypeLayouts layouts(t.builder.table(), containers);
  EXPECT_TRUE(layouts.of(huge).slots.empty());
  ASSERT_EQ(layouts.of(huge).kinds.size(), 1U);
  EXPECT_EQ(layouts.of(huge).kinds[0].kind, EdgeKind::conservative);
}

}  // namespace
}  // namespace heapwalk
