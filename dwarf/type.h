// One type, and one field of it, as a TypeTable (type_table.h) keeps them: a few words each, names and lists elsewhere.
//
//     struct Session { long id; Session* next; unsigned busy : 1; }
//         Type  { record, "Session", 24 bytes, three fields }
//         Field { "busy", unsigned, at 16, one bit from bit 0 }
#pragma once

#include <cstdint>
#include <string_view>

namespace heapwalk {

enum class TypeId : uint32_t {};
constexpr TypeId kNoType{UINT32_MAX};  // unknown; `void` behind a pointer
constexpr uint32_t index(TypeId id) {
  return static_cast<uint32_t>(id);
}

// function: behind a pointer only. declaration: named, but no unit defines it. union_: fields overlap; Rust's enums too.
// T*; T&; Rust's, which lead to one T, since its slices and vectors carry their length.
enum class PointerForm : uint8_t { star, reference, single };
enum class TypeKind : uint8_t { base, pointer, array, record, union_, enumeration, function, declaration };
// What a word of a base type may mean. `character`: text; what looks like a pointer there is none.
enum class BaseEncoding : uint8_t { other, boolean, signed_integer, unsigned_integer, character, floating };

struct Type {
  TypeKind kind = TypeKind::base;
  BaseEncoding encoding = BaseEncoding::other;  // of base
  PointerForm form = PointerForm::star;         // of a pointer
  uint64_t size_bytes = 0;
  TypeId target = kNoType;  // pointer: what it points to; array: its element; enumeration: its integer
  uint64_t count = 0;       // array: elements of all dimensions; 0: not said, or flexible
  std::string_view name =
      {};  // "ns::Session", "std::vector<int, std::allocator<int> >"; empty: anonymous, pointer, array
  uint32_t first_field = 0, field_count = 0;
  uint32_t first_argument = 0, argument_count = 0;
  std::string_view mangled = {};  // see TypeTable::find_mangled()
};

// In a union that is a Rust enum: the number that tells which variant is there; a variant that is there when the number is
// Field::discriminant, or when it is no other one's (the niche of `Option<Box<T>>`: None is 0).
enum class FieldVariant : uint8_t { none, discriminant, when, otherwise };

struct Field {
  std::string_view name;  // empty: anonymous member, whose own fields count as the outer one's
  TypeId type = kNoType;
  uint64_t offset_bytes = 0;
  bool is_base = false;          // a base class; its name is the class's
  bool is_virtual_base = false;  // its offset is the complete object's; a derived class may place it elsewhere
  bool is_bit_field = false;     // of `bit_size` bits, from bit `bit_offset` of the unit of its type at the offset
  uint8_t bit_offset = 0, bit_size = 0;
  FieldVariant variant = FieldVariant::none;
  uint64_t discriminant = 0;  // of a variant that is there when the number is this
};

}  // namespace heapwalk
