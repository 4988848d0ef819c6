// Containers laid out by hand, word by word: what `show` says of them, and that it says nothing where the words do not fit.
#include <gtest/gtest.h>

#include <cstring>

#include "heapwalk/field_values.h"

namespace heapwalk {
namespace {

constexpr Address kPlace{0x1000};

class ShowContainerValues : public ::testing::Test {
 protected:
  template <class T>
  void put(size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof value);
  }
  TypeId record(std::string_view name, uint64_t size_bytes, std::vector<Field> fields,
                std::vector<TypeId> arguments = {}, TypeKind kind = TypeKind::record) {
    auto opened = builder_.open(kind, name, size_bytes);
    EXPECT_EQ(builder_.fill(opened.id, std::move(fields), std::move(arguments)), 0U);
    return opened.id;
  }
  TypeId pointer(TypeId target) { return builder_.pointer_to(target); }

  // "name = value" per row, indented by depth.
  std::string show(TypeId type) {
    AddressSpace memory(std::vector<Region>{{AddressRange::of(kPlace, bytes_.size()), ByteState::core, bytes_.data()}});
    const TypeTable& table = builder_.table();
    const Containers rules(table);
    const ContainerValues containers(table, rules, memory,
                                     [](Address at) { return at.value == 0x7000 ? "Circle" : std::string(); });
    std::string result;
    for (const FieldValue& row :
         field_values(table, memory, AddressRange::of(kPlace, table.size_bytes(type)), type, false, &containers)) {
      result += std::string(row.depth, '.') + row.name + (row.value.empty() ? "" : " = " + row.value) + "\n";
    }
    return result;
  }

  TypeId text() {
    TypeId hider =
        record("std::__cxx11::basic_string<char>::_Alloc_hider", 8, {{.name = "_M_p", .type = pointer(char_)}});
    TypeId both = record("", 16,
                         {{.name = "_M_local_buf", .type = builder_.array_of(char_, 16)},
                          {.name = "_M_allocated_capacity", .type = long_}},
                         {}, TypeKind::union_);
    return record("std::__cxx11::basic_string<char>", 32,
                  {{.name = "_M_dataplus", .type = hider},
                   {.name = "_M_string_length", .type = long_, .offset_bytes = 8},
                   {.name = "", .type = both, .offset_bytes = 16}},
                  {char_});
  }
  TypeId vector_of(TypeId element) {
    TypeId impl = record("std::_Vector_base<T>::_Vector_impl", 24,
                         {{.name = "_M_start", .type = pointer(element)},
                          {.name = "_M_finish", .type = pointer(element), .offset_bytes = 8},
                          {.name = "_M_end_of_storage", .type = pointer(element), .offset_bytes = 16}});
    TypeId base = record("std::_Vector_base<T>", 24, {{.name = "_M_impl", .type = impl}}, {element});
    return record("std::vector<T>", 24, {{.name = "_Vector_base", .type = base, .is_base = true}}, {element});
  }

  TypeTableBuilder builder_;
  TypeId int_ = builder_.base("int", 4, BaseEncoding::signed_integer);
  TypeId long_ = builder_.base("unsigned long", 8, BaseEncoding::unsigned_integer);
  TypeId char_ = builder_.base("char", 1, BaseEncoding::character);
  TypeId bool_ = builder_.base("bool", 1, BaseEncoding::boolean);
  std::vector<std::byte> bytes_{1024};
};

TEST_F(ShowContainerValues, AStringIsItsText) {
  TypeId type =
      record("User", 40, {{.name = "id", .type = long_}, {.name = "name", .type = text(), .offset_bytes = 8}});
  put(0, uint64_t{7});
  put(8, (kPlace + 24).value);
  put(16, uint64_t{5});
  std::memcpy(bytes_.data() + 24, "alice and what was there before", 31);
  EXPECT_EQ(show(type), "id = 7\nname = \"alice\"\n");
  put(16, uint64_t{0});
  EXPECT_EQ(show(type), "id = 7\nname = \"\"\n");
  put(8, (kPlace + 512).value);
  put(16, uint64_t{100});
  std::memset(bytes_.data() + 512, 'y', 200);
  EXPECT_EQ(show(type), "id = 7\nname = \"" + std::string(64, 'y') + "\"… (100 bytes)\n");
}

TEST_F(ShowContainerValues, WordsThatMakeNoSenseAreShownAsTheyAre) {
  TypeId type = text();
  put(0, uint64_t{0xdead0000});
  put(8, uint64_t{5});
  EXPECT_NE(show(type).find("_M_p = 0xdead0000\n"), std::string::npos) << show(type);
  TypeId numbers = vector_of(int_);
  put(0, uint64_t{0x2010});
  put(8, uint64_t{0x2000});
  put(16, uint64_t{0x2020});
  EXPECT_EQ(show(numbers), "_M_impl\n._M_start = 0x2010\n._M_finish = 0x2000\n._M_end_of_storage = 0x2020\n");
}

TEST_F(ShowContainerValues, AVectorIsItsSizes) {
  TypeId type = record("R", 32, {{.name = "numbers", .type = vector_of(int_), .offset_bytes = 8}});
  put(8, uint64_t{0x2000});
  put(16, uint64_t{0x200c});
  put(24, uint64_t{0x2020});
  EXPECT_EQ(show(type), "numbers = size 3, capacity 8\n");
}

// abseil: the lowest bit of the size says that the elements are elsewhere.
TEST_F(ShowContainerValues, AnInlinedVectorHasRoomInside) {
  TypeId heap = record("Allocation", 16,
                       {{.name = "allocated_data", .type = pointer(int_)},
                        {.name = "allocated_capacity", .type = long_, .offset_bytes = 8}});
  TypeId inside = record("Inlined", 24, {{.name = "inlined_data", .type = builder_.array_of(char_, 24)}});
  TypeId data = record("Data", 24, {{.name = "allocated", .type = heap}, {.name = "inlined", .type = inside}}, {},
                       TypeKind::union_);
  TypeId vector =
      record("absl::lts_20240722::InlinedVector<int, 6>", 32,
             {{.name = "metadata_", .type = long_}, {.name = "data_", .type = data, .offset_bytes = 8}}, {int_});
  TypeId type = record("R", 32, {{.name = "flags", .type = vector}});
  put(0, uint64_t{4 << 1});
  put(16, uint64_t{0x12345678});  // elements
  EXPECT_EQ(show(type), "flags = size 4, capacity 6\n");
  put(0, uint64_t{9 << 1 | 1});
  put(16, uint64_t{12});
  EXPECT_EQ(show(type), "flags = size 9, capacity 12\n");
  put(16, uint64_t{8});
  EXPECT_NE(show(type).find("allocated_capacity = 8\n"), std::string::npos) << "more than there is room for";
}

// abseil's tables: the size shares its word with other things, the capacity may be a logarithm.
TEST_F(ShowContainerValues, ATableIsItsSizeAndItsSlots) {
  TypeId table = record("absl::lts_20240722::container_internal::raw_hash_set<P>", 32,
                        {{.name = "control_", .type = pointer(char_)},
                         {.name = "slots_", .type = pointer(kNoType), .offset_bytes = 8},
                         {.name = "capacity_", .type = long_, .offset_bytes = 16},
                         {.name = "size_", .type = long_, .offset_bytes = 24}});
  put(16, uint64_t{15});
  put(24, uint64_t{3 << 1 | 1});
  TypeId set = record("absl::lts_20240722::flat_hash_set<int>", 32, {{.name = "", .type = table, .is_base = true}});
  EXPECT_EQ(show(record("R", 32, {{.name = "readers", .type = set}})), "readers = size 3, capacity 15\n");
}

TEST_F(ShowContainerValues, AMapIsItsSizeAndANodeItsValue) {
  TypeId base = record("std::_Rb_tree_node_base", 32, {{.name = "_M_parent", .type = long_, .offset_bytes = 8}});
  TypeId buffer =
      record("__gnu_cxx::__aligned_membuf<P>", 8, {{.name = "_M_storage", .type = builder_.array_of(char_, 8)}});
  TypeId pair = record("P", 8, {{.name = "first", .type = int_}, {.name = "second", .type = int_, .offset_bytes = 4}});
  TypeId node = record("std::_Rb_tree_node<P>", 40,
                       {{.name = "_Rb_tree_node_base", .type = base, .is_base = true},
                        {.name = "_M_storage", .type = buffer, .offset_bytes = 32}},
                       {pair});
  put(32, int32_t{11});
  put(36, int32_t{22});
  EXPECT_EQ(show(node), "_M_parent = 0\n_M_storage\n.first = 11\n.second = 22\n");
  TypeId tree =
      record("std::_Rb_tree<int, P>", 48, {{.name = "_M_node_count", .type = long_, .offset_bytes = 40}}, {int_, pair});
  TypeId map = record("std::map<int, int>", 48, {{.name = "_M_t", .type = tree}}, {int_, int_});
  put(40, uint64_t{3});
  EXPECT_EQ(show(record("R", 48, {{.name = "map", .type = map}})), "map = size 3\n");
}

TEST_F(ShowContainerValues, APointerSaysWhatLiesThere) {
  TypeId shape = record("Shape", 8, {{.name = "id", .type = long_}});
  TypeId type =
      record("R", 48,
             {{.name = "a",
               .type = record("std::__shared_ptr<Shape>", 16, {{.name = "_M_ptr", .type = pointer(shape)}}, {shape})},
              {.name = "b",
               .type = record("std::unique_ptr<Shape>", 8, {{.name = "_M_head_impl", .type = pointer(shape)}}, {shape}),
               .offset_bytes = 16}});
  put(0, uint64_t{0x7000});
  EXPECT_EQ(show(type), "a = 0x7000 → Circle\nb = null\n");
  put(16, uint64_t{0x8000});
  EXPECT_EQ(show(type), "a = 0x7000 → Circle\nb = 0x8000 → Shape\n");
}

TEST_F(ShowContainerValues, AnOptionalHasAValueOrNone) {
  TypeId storage =
      record("std::_Optional_payload_base<int>::_Storage<int>", 4,
             {{.name = "_M_empty", .type = char_}, {.name = "_M_value", .type = int_}}, {}, TypeKind::union_);
  TypeId payload = record(
      "std::_Optional_payload_base<int>", 8,
      {{.name = "_M_payload", .type = storage}, {.name = "_M_engaged", .type = bool_, .offset_bytes = 4}}, {int_});
  TypeId type = record("R", 8, {{.name = "port", .type = payload}});
  put(0, int32_t{8080});
  EXPECT_EQ(show(type), "port = empty\n");
  put(4, true);
  EXPECT_EQ(show(type), "port = has a value\n.value = 8080\n");
  put(4, uint8_t{7});
  EXPECT_NE(show(type).find("_M_engaged"), std::string::npos) << "no truth value";
}

TEST_F(ShowContainerValues, AVariantIsTheAlternativeInUse) {
  const auto held = [&](std::string_view name, TypeId type) {
    return record(name, builder_.table().size_bytes(type), {{.name = "_M_storage", .type = type}}, {type});
  };
  TypeId last = record("std::__detail::__variant::_Variadic_union<int>", 8,
                       {{.name = "_M_first", .type = held("std::__detail::__variant::_Uninitialized<int>", int_)}}, {},
                       TypeKind::union_);
  TypeId first = record("std::__detail::__variant::_Variadic_union<long, int>", 8,
                        {{.name = "_M_first", .type = held("std::__detail::__variant::_Uninitialized<long>", long_)},
                         {.name = "_M_rest", .type = last}},
                        {}, TypeKind::union_);
  TypeId storage =
      record("std::__detail::__variant::_Variant_storage<true, long, int>", 16,
             {{.name = "_M_u", .type = first}, {.name = "_M_index", .type = char_, .offset_bytes = 8}}, {long_, int_});
  TypeId type = record("R", 16, {{.name = "value", .type = storage}});
  put(0, uint64_t{0x500000007});
  EXPECT_EQ(show(type), "value = alternative 0\n.value = 21474836487\n");
  put(8, uint8_t{1});
  EXPECT_EQ(show(type), "value = alternative 1\n.value = 7\n");
  put(8, uint8_t{255});
  EXPECT_EQ(show(type), "value = no alternative\n");
  put(8, uint8_t{2});
  EXPECT_NE(show(type).find("_M_index"), std::string::npos) << "there are two";
}

TEST_F(ShowContainerValues, RustStringsAndEnums) {
  TypeId vec = record("alloc::vec::Vec<u8, alloc::alloc::Global>", 24,
                      {{.name = "cap", .type = long_},
                       {.name = "pointer", .type = pointer(char_), .offset_bytes = 8},
                       {.name = "len", .type = long_, .offset_bytes = 16}},
                      {char_});
  TypeId string = record("alloc::string::String", 24, {{.name = "vec", .type = vec}});
  TypeId some = record("Option<u64>::Some", 16, {{.name = "__0", .type = long_, .offset_bytes = 8}});
  TypeId none = record("Option<u64>::None", 16, {});
  auto choice = builder_.open(TypeKind::union_, "", 16);
  EXPECT_EQ(builder_.fill(choice.id,
                          {{.name = "", .type = long_, .variant = FieldVariant::discriminant},
                           {.name = "None", .type = none, .variant = FieldVariant::when, .discriminant = 0},
                           {.name = "Some", .type = some, .variant = FieldVariant::otherwise}},
                          {}),
            0U);
  TypeId option = record("core::option::Option<u64>", 16, {{.name = "", .type = choice.id}});
  TypeId type = record("R", 64,
                       {{.name = "name", .type = string},
                        {.name = "list", .type = vec, .offset_bytes = 24},
                        {.name = "age", .type = option, .offset_bytes = 48}});
  put(0, uint64_t{8});
  put(8, (kPlace + 600).value);
  put(16, uint64_t{3});
  std::memcpy(bytes_.data() + 600, "Bob!", 4);
  put(24, uint64_t{16});
  put(32, uint64_t{0x3000});
  put(40, uint64_t{9});
  put(48, uint64_t{1});
  put(56, uint64_t{44});
  EXPECT_EQ(show(type), "name = \"Bob\"\nlist = size 9, capacity 16\nage\n.Some\n..__0 = 44\n");
  put(48, uint64_t{0});
  EXPECT_EQ(show(type), "name = \"Bob\"\nlist = size 9, capacity 16\nage\n.None\n");
}

}  // namespace
}  // namespace heapwalk
