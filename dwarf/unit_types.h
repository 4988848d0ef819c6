// What one unit says about types, before units are joined: flat arrays, references still unresolved.
//
//     entries       in the unit's order, by EntryKey: {kind, target key}     a pointer, an alias, a record …
//       └ details   of those with a name or a size                           "ns::Session", 64 bytes
//           └ members, arguments: lists threaded through one array each      a record's, in the unit's order
//
// A unit repeats most of what other units said (its headers). A definition that the builder has is recognised by its
// name and size while the unit is read; of such a one only the id is kept, none of its members.
// Source: DWARF 5, chapter 5.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dwarf/debug_entry.h"
#include "dwarf/entry_names.h"
#include "dwarf/line_files.h"
#include "dwarf/type_table.h"

namespace heapwalk {

// `closure`: Go's function values, which have a size: pointers to what begins with the code's address. `nothing`: an entry that
// is no type we know.
enum class EntryKind : uint8_t {
  alias,
  pointer,
  reference,
  single_pointer,
  member_pointer,
  array,
  compound,
  enumeration,
  base,
  function,
  closure,
  declaration,
  nothing
};

constexpr uint32_t kNoIndex = UINT32_MAX;

struct TypeEntry {
  EntryKey key = 0;
  EntryKey target = kNoEntry;
  EntryKind kind = EntryKind::nothing;
  uint32_t detail = kNoIndex;
};

struct TypeDetail {
  std::string_view
      name;  // qualified; of an alias of another unit's type: its own; borrows, from the sections or UnitTypes
  uint64_t size_bytes = 0;
  uint64_t count = 0;  // of an array
  TypeKind kind = TypeKind::base;
  BaseEncoding encoding = BaseEncoding::other;
  TypeId known = kNoType;  // the builder has it already
  uint32_t first_member = kNoIndex, last_member = kNoIndex;
  uint32_t first_argument = kNoIndex, last_argument = kNoIndex;
  std::string_view mangled;  // of a class template's instance, where symbols are to lead to it; see mangled_class()
};

struct TypeMember {
  std::string_view name = {};
  EntryKey type = kNoEntry;
  uint64_t offset_bytes = 0;
  uint32_t next = kNoIndex;
  bool is_base = false;
  bool is_bit_field = false;  // then the offset is that of the byte in which it begins
  uint8_t bit_offset = 0, bit_size = 0;
  uint8_t bits_above = UINT8_MAX;  // DWARF 3: of its type, the bits above it; then the offset is that of the type
  FieldVariant variant = FieldVariant::none;
  uint64_t discriminant = 0;
};

struct TypeArgument {
  EntryKey type = kNoEntry;
  uint32_t next = kNoIndex;
};

struct UnitTypes {
  UnitTypes() = default;
  UnitTypes(UnitTypes&&) = default;  // never copied: views point into `names`
  UnitTypes& operator=(UnitTypes&&) = default;

  EntryKey begin = 0, end = 0;  // of the unit
  bool is_partial = false;      // what others have in common: they will refer to it
  std::vector<TypeEntry> entries;
  std::vector<TypeDetail> details;
  std::vector<TypeMember> members;
  std::vector<TypeArgument> arguments;
  std::deque<std::string> names;
  uint64_t damage = 0;

  uint32_t find(EntryKey key) const;  // an index of `entries`, or kNoIndex
};

// Is shown the entries of a unit one after the other, as walk_entries() visits them.
class TypeCollector {
 public:
  // `known` does not change while units are read.
  TypeCollector(const TypeTableBuilder& known, const SignatureMap& signatures, const LineTable& lines,
                const Die& unit_die);

  // True: what is below the entry says nothing about types.
  bool visit(const Die& die, std::span<const uint64_t> scopes);
  UnitTypes finish() &&;

 private:
  struct Scope {  // one entry around the current one
    Die die;
    uint32_t compound = kNoIndex;  // the detail whose members stand here
    bool is_named = false;         // `name` is computed
    std::string name = {};         // qualified
  };
  uint32_t add_type(const Die& die, EntryKind kind);
  bool is_elsewhere(const Die& die, TypeEntry& entry);
  uint32_t add_compound(const Die& die, TypeEntry& entry);
  void add_enumeration(const Die& die, TypeEntry& entry);
  std::string_view full_name(const Die& die);
  void add_typedef(const Die& die, TypeEntry& entry);
  uint32_t add_part(const Die& die, uint32_t compound);
  void add_member(const Die& die, TypeDetail& owner);
  void set_variant(TypeMember& member);
  void add_base_class(const Die& die, TypeDetail& owner);
  void add_function(const Die& die, TypeDetail& owner);
  void name_lambda(const Die& function, TypeDetail& owner);
  std::string source_line(const Die& die);
  void append(TypeDetail& owner, const TypeMember& member);
  void append_argument(TypeDetail& owner, EntryKey type);
  TypeDetail& new_detail(TypeEntry& entry, TypeKind kind, std::string_view name, uint64_t size_bytes);
  void rename(TypeDetail& detail, std::string_view name);
  TypeDetail* anonymous(EntryKey key);
  EntryKey target_of(const Die& die, llvm::dwarf::Attribute attribute);
  std::string_view qualified(std::string_view name);
  const std::string& scope_name(size_t level);

  const TypeTableBuilder& known_;
  const SignatureMap& signatures_;
  bool is_rust_;
  const LineTable& lines_;
  std::optional<LineFiles> files_;  // read when the first lambda is met
  UnitTypes types_;
  std::vector<Scope> scopes_;
  std::vector<std::pair<EntryKey, std::string_view>> typedefs_;  // of entries that come later
  uint64_t effort_ = kMaxSearchedEntries;
};

}  // namespace heapwalk
