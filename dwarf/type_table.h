// The types of the whole process, in flat arrays: what debug info (and a runtime's own descriptors) say about layout.
//
//     TypeId ─► Type { kind, name, size } ─► fields [first, first + count)      sorted by offset
//                                         ─► arguments [first, first + count)   of a template: vector<T, A> → T, A
//
// One definition per type: units and modules repeat what they include, and the builder keeps the first of each. Typedefs
// and qualifiers are not types here: `const std::string` is the record basic_string<char, …>. A pointer is a type of its own,
// one per target, so "Session*" is found from "Session" without a search.
//
// The same TypeId stays valid while the builder goes on to further modules. Ids depend on reading order, which does not depend
// on the number of threads.
//
// Laws (check()): fields sorted by offset and inside their record (a flexible array at its end may reach out); every TypeId
// is kNoType or smaller than size(); no record contains itself by value.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "dwarf/type.h"

namespace heapwalk {

class TypeTable {
 public:
  TypeTable() = default;
  TypeTable(TypeTable&&) = default;  // never copied: views point into `names_`
  TypeTable& operator=(TypeTable&&) = default;
  uint32_t size() const { return static_cast<uint32_t>(types_.size()); }
  const Type& operator[](TypeId id) const { return types_[index(id)]; }  // id != kNoType
  std::span<const Field> fields(TypeId id) const {
    const Type& type = types_[index(id)];
    return std::span(fields_).subspan(type.first_field, type.field_count);
  }
  std::span<const TypeId> arguments(TypeId id) const {  // kNoType stands for `void`, unknown ones and values
    const Type& type = types_[index(id)];
    return std::span(arguments_).subspan(type.first_argument, type.argument_count);
  }
  uint64_t size_bytes(TypeId id) const { return id == kNoType ? 0 : types_[index(id)].size_bytes; }

  // A defined type by its full name; a record wins over others. Nothing for an unknown name.
  std::optional<TypeId> find(std::string_view name) const;
  // A class by the part of its functions' symbols that stands for it (mangled_class()); known of some templates only.
  std::optional<TypeId> find_mangled(std::string_view name) const;
  // As a programmer writes it: "Session*", "int[16]", "void"; anonymous ones "(anonymous struct)".
  std::string spelled(TypeId id) const;
  bool check() const;

 private:
  friend class TypeTableBuilder;
  std::vector<Type> types_;
  std::vector<Field> fields_;
  std::vector<TypeId> arguments_;
  std::deque<std::string> names_;  // what the views point to, in blocks that never grow beyond what they reserved
  std::unordered_map<std::string_view, TypeId> by_name_, by_mangled_;
};

// Grows a table. Strings are copied.
class TypeTableBuilder {
 public:
  TypeTableBuilder() = default;
  explicit TypeTableBuilder(TypeTable table);  // goes on with it; its records and numbers are not asked for again

  // The canonical copies: asked for twice, they are the same type.
  TypeId base(std::string_view name, uint64_t size_bytes, BaseEncoding encoding);
  TypeId pointer_to(TypeId target, PointerForm form = PointerForm::star, uint64_t size_bytes = 8);
  TypeId array_of(TypeId element, uint64_t count);  // size: count × the element's
  TypeId function();                                // all functions are one type
  TypeId enumeration(std::string_view name, uint64_t size_bytes, TypeId integer);

  // A record or union is opened first and filled later, since types refer to each other in circles. open() returns the type that
  // is there already if one of this kind, name and size is; `is_new` says so, and only a new one is to be filled. Anonymous
  // ones are always new. A declaration that is defined later becomes the definition, under the same id.
  struct Opened {
    TypeId id;
    bool is_new;
  };
  Opened open(TypeKind kind, std::string_view name, uint64_t size_bytes);
  TypeId declare(std::string_view name);
  // A further record of a name that others may have. Always new, and not found by its name if another is.
  TypeId add_form(std::string_view name, uint64_t size_bytes);
  // Sorts the fields; drops those that lie outside the type, contain it by value or have an unknown id. Returns how many.
  size_t fill(TypeId id, std::vector<Field> fields, std::vector<TypeId> arguments);
  void set_mangled(TypeId id, std::string_view name);

  // What open() or enumeration() would find. Any number of threads may ask while nobody adds.
  std::optional<TypeId> known(TypeKind kind, std::string_view name, uint64_t size_bytes) const;

  const TypeTable& table() const { return table_; }
  TypeTable finish() && { return std::move(table_); }

 private:
  std::string_view keep(std::string_view text);
  TypeId add(Type type);
  bool contains_by_value(TypeId outer, TypeId inner) const;

  TypeTable table_;
  struct Key {  // what makes two definitions one; a struct and a union of one name and size are
    std::string_view name;
    uint64_t size_bytes = 0;
    TypeKind kind = TypeKind::base;
    BaseEncoding encoding = BaseEncoding::other;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const;
    size_t operator()(const std::pair<TypeId, uint64_t>& array) const;
  };
  static Key key(TypeKind kind, std::string_view name, uint64_t size_bytes);

  std::unordered_map<Key, TypeId, Hash> known_;
  std::unordered_map<std::string_view, TypeId> declarations_;             // not defined yet
  std::unordered_map<uint64_t, TypeId> pointers_;                         // by target and kind
  std::unordered_map<std::pair<TypeId, uint64_t>, TypeId, Hash> arrays_;  // by element and count
  std::unordered_set<std::string_view> kept_;
};

}  // namespace heapwalk
