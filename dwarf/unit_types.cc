#include "dwarf/unit_types.h"

#include <algorithm>
#include <utility>

#include "dump/symbols.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

constexpr size_t kMaxNameBytes = 1 << 14;
constexpr uint64_t kMaxElements = uint64_t{1} << 40;
constexpr int kMaxDimensions = 64;

EntryKind kind_of(dw::Tag tag) {
  switch (tag) {
    case dw::DW_TAG_typedef:
    case dw::DW_TAG_template_alias:
    case dw::DW_TAG_const_type:
    case dw::DW_TAG_volatile_type:
    case dw::DW_TAG_restrict_type:
    case dw::DW_TAG_atomic_type:
    case dw::DW_TAG_packed_type:
    case dw::DW_TAG_immutable_type:
    case dw::DW_TAG_shared_type:
    case dw::DW_TAG_subrange_type:
      return EntryKind::alias;
    case dw::DW_TAG_pointer_type:
      return EntryKind::pointer;
    case dw::DW_TAG_reference_type:
    case dw::DW_TAG_rvalue_reference_type:
      return EntryKind::reference;
    case dw::DW_TAG_ptr_to_member_type:
      return EntryKind::member_pointer;
    case dw::DW_TAG_array_type:
      return EntryKind::array;
    case dw::DW_TAG_structure_type:
    case dw::DW_TAG_class_type:
    case dw::DW_TAG_interface_type:
    case dw::DW_TAG_union_type:
      return EntryKind::compound;
    case dw::DW_TAG_enumeration_type:
      return EntryKind::enumeration;
    case dw::DW_TAG_base_type:
    case dw::DW_TAG_unspecified_type:
      return EntryKind::base;
    case dw::DW_TAG_subroutine_type:
      return EntryKind::function;
    default:
      return EntryKind::nothing;
  }
}

// Types that C, C++ and Rust do not have; whoever refers to one refers to something unknown.
bool is_foreign_type(dw::Tag tag) {
  return tag == dw::DW_TAG_string_type || tag == dw::DW_TAG_set_type || tag == dw::DW_TAG_file_type ||
         tag == dw::DW_TAG_dynamic_type || tag == dw::DW_TAG_coarray_type || tag == dw::DW_TAG_generic_subrange;
}

BaseEncoding encoding_of(const Die& die, std::string_view name, uint64_t size_bytes) {
  switch (die.number(dw::DW_AT_encoding).value_or(0)) {
    case dw::DW_ATE_boolean:
      return BaseEncoding::boolean;
    case dw::DW_ATE_signed:
      return name == "wchar_t" ? BaseEncoding::character : BaseEncoding::signed_integer;
    case dw::DW_ATE_unsigned:
      return BaseEncoding::unsigned_integer;
    case dw::DW_ATE_signed_char:
    case dw::DW_ATE_unsigned_char:
    case dw::DW_ATE_UTF:
    case dw::DW_ATE_UCS:
    case dw::DW_ATE_ASCII:
      return size_bytes <= 4 ? BaseEncoding::character : BaseEncoding::other;
    case dw::DW_ATE_float:
    case dw::DW_ATE_complex_float:
    case dw::DW_ATE_imaginary_float:
    case dw::DW_ATE_decimal_float:
      return BaseEncoding::floating;
    default:
      return BaseEncoding::other;
  }
}

// The elements of all dimensions; 0 when one of them does not say.
uint64_t element_count(const Die& array) {
  uint64_t count = 1;
  uint64_t offset = array.end();
  Die child;
  for (int dimension = 0; array.has_children() && dimension < kMaxDimensions && child.read(array.unit(), offset);
       ++dimension) {
    if (child.tag() != dw::DW_TAG_subrange_type || child.has_children()) break;
    uint64_t elements = 0;
    if (auto number = child.number(dw::DW_AT_count)) {
      elements = *number;
    } else if (auto bound = child.number(dw::DW_AT_upper_bound)) {
      elements = *bound + 1;  // 0 for the −1 of a flexible array
    }
    if (elements > kMaxElements || count > kMaxElements) return 0;
    count *= elements;
  }
  return count;
}

// DW_AT_data_member_location: a number, or in old DWARF an expression that adds one. Nullopt: it takes an object to know.
std::optional<uint64_t> member_offset(const llvm::DWARFFormValue& location) {
  if (auto number = location.getAsUnsignedConstant()) return number;
  if (auto number = location.getAsSignedConstant()) return static_cast<uint64_t>(*number);
  auto block = location.getAsBlock();
  if (!block || block->empty() || (*block)[0] != dw::DW_OP_plus_uconst) return std::nullopt;
  uint64_t value = 0;
  for (size_t i = 1; i < block->size() && i <= 9; ++i) {
    value |= uint64_t{(*block)[i] & 0x7fU} << (7 * (i - 1));
    if (((*block)[i] & 0x80) == 0) return i + 1 == block->size() ? std::optional(value) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

uint32_t UnitTypes::find(EntryKey key) const {
  auto at = std::ranges::lower_bound(entries, key, {}, &TypeEntry::key);
  return at != entries.end() && at->key == key ? static_cast<uint32_t>(at - entries.begin()) : kNoIndex;
}

TypeCollector::TypeCollector(const TypeTableBuilder& known, const SignatureMap& signatures, const LineTable& lines,
                             const Die& unit_die)
    : known_(known),
      signatures_(signatures),
      is_rust_(unit_die.number(dw::DW_AT_language) == uint64_t{dw::DW_LANG_Rust}),
      lines_(lines) {
  const llvm::DWARFUnit& unit = unit_die.unit();
  types_.begin = key_of(unit, unit.getOffset());
  types_.end = key_of(unit, unit.getNextUnitOffset());
  types_.is_partial = unit_die.tag() == dw::DW_TAG_partial_unit;
  scopes_.push_back({.die = unit_die, .is_named = true});
}

bool TypeCollector::visit(const Die& die, std::span<const uint64_t> scopes) {
  scopes_.resize(std::min(scopes.size(), scopes_.size()));
  const Scope& around = scopes_.back();
  const dw::Tag tag = die.tag();
  const EntryKind kind = kind_of(tag);
  uint32_t compound = kNoIndex;
  if (kind != EntryKind::nothing || is_foreign_type(tag)) {
    compound = add_type(die, kind);
  } else if (around.compound != kNoIndex && types_.details[around.compound].known == kNoType) {
    compound = add_part(die, around.compound);
  }
  if (die.has_children()) scopes_.push_back({.die = die, .compound = compound});
  return kind == EntryKind::enumeration;  // its values; whatever else has children may have types among them
}

// Returns the detail of a compound, whose members follow, or kNoIndex.
uint32_t TypeCollector::add_type(const Die& die, EntryKind kind) {
  TypeEntry entry{.key = key_of(die.unit(), die.offset()), .kind = kind};
  uint32_t compound = kNoIndex;
  switch (kind) {
    case EntryKind::compound:
      compound = add_compound(die, entry);
      break;
    case EntryKind::enumeration:
      add_enumeration(die, entry);
      break;
    case EntryKind::base: {
      std::string_view name = die.string(dw::DW_AT_name).substr(0, kMaxNameBytes);
      TypeDetail& detail = new_detail(entry, TypeKind::base, name, die.number(dw::DW_AT_byte_size).value_or(0));
      detail.encoding = encoding_of(die, name, detail.size_bytes);
      break;
    }
    case EntryKind::array:
      entry.target = target_of(die, dw::DW_AT_type);
      new_detail(entry, TypeKind::array, {}, 0).count = element_count(die);
      break;
    case EntryKind::function:
      if (die.find(dw::DW_AT_byte_size)) entry.kind = EntryKind::closure;
      break;
    case EntryKind::closure:
    case EntryKind::nothing:
    case EntryKind::declaration:
      break;
    case EntryKind::alias:
    case EntryKind::pointer:
    case EntryKind::reference:
    case EntryKind::single_pointer:
    case EntryKind::member_pointer:
      entry.target = target_of(die, dw::DW_AT_type);
      if (die.tag() == dw::DW_TAG_typedef) add_typedef(die, entry);
      if (kind == EntryKind::pointer && is_rust_) entry.kind = EntryKind::single_pointer;
      break;
  }
  types_.entries.push_back(entry);
  return compound;
}

// An entry that stands for one in a type unit.
bool TypeCollector::is_elsewhere(const Die& die, TypeEntry& entry) {
  if (!die.find(dw::DW_AT_signature)) return false;
  entry.target = target_of(die, dw::DW_AT_signature);
  entry.kind = EntryKind::alias;
  return true;
}

uint32_t TypeCollector::add_compound(const Die& die, TypeEntry& entry) {
  if (is_elsewhere(die, entry)) return kNoIndex;
  const std::string_view name = full_name(die);
  if (die.flag(dw::DW_AT_declaration)) {
    entry.kind = name.empty() ? EntryKind::nothing : EntryKind::declaration;
    if (!name.empty()) new_detail(entry, TypeKind::declaration, name, 0);
    return kNoIndex;
  }
  const TypeKind kind = die.tag() == dw::DW_TAG_union_type ? TypeKind::union_ : TypeKind::record;
  new_detail(entry, kind, name, die.number(dw::DW_AT_byte_size).value_or(0));
  return entry.detail;
}

void TypeCollector::add_enumeration(const Die& die, TypeEntry& entry) {
  if (is_elsewhere(die, entry)) return;
  entry.target = target_of(die, dw::DW_AT_type);
  const auto size_bytes = die.number(dw::DW_AT_byte_size);
  if (!size_bytes) entry.kind = EntryKind::alias;  // declared: its integer is known, if anything
  new_detail(entry, TypeKind::enumeration, full_name(die), size_bytes.value_or(0));
}

// Of a definition that completes a declaration: the declaration's, which stands in the right scope.
std::string_view TypeCollector::full_name(const Die& die) {
  if (auto declared = die.reference_key(dw::DW_AT_specification, signatures_)) {
    const uint32_t found = types_.find(*declared);
    const uint32_t detail = found == kNoIndex ? kNoIndex : types_.entries[found].detail;
    if (detail != kNoIndex && !types_.details[detail].name.empty()) return types_.details[detail].name;
    const auto elsewhere = found == kNoIndex ? die.reference(dw::DW_AT_specification) : std::nullopt;
    if (elsewhere && &elsewhere->unit() != &die.unit()) {
      const std::string_view name = elsewhere->string(dw::DW_AT_name);
      if (!name.empty()) return types_.names.emplace_back(joined(scope_text(*elsewhere, effort_), name));
    }
  }
  return qualified(die.string(dw::DW_AT_name));
}

TypeDetail& TypeCollector::new_detail(TypeEntry& entry, TypeKind kind, std::string_view name, uint64_t size_bytes) {
  entry.detail = static_cast<uint32_t>(types_.details.size());
  TypeDetail& detail = types_.details.emplace_back();
  detail.kind = kind;
  detail.size_bytes = size_bytes;
  rename(detail, name);
  return detail;
}

void TypeCollector::rename(TypeDetail& detail, std::string_view name) {
  detail.name = name;
  if (name.empty() ||
      (detail.kind != TypeKind::record && detail.kind != TypeKind::union_ && detail.kind != TypeKind::enumeration)) {
    return;
  }
  auto known = known_.known(detail.kind, name, detail.size_bytes);
  if (!known) return;
  detail.known = *known;
  detail.name = known_.table()[*known].name;
  if (!types_.names.empty() && types_.names.back().data() == name.data()) types_.names.pop_back();
}

// `typedef struct { … } Name;` names the struct, which stands before or after it.
void TypeCollector::add_typedef(const Die& die, TypeEntry& entry) {
  if (entry.target == kNoEntry) return;
  if (entry.target < types_.begin || entry.target >= types_.end) {
    new_detail(entry, TypeKind::base, qualified(die.string(dw::DW_AT_name)), 0);
  } else if (entry.target > entry.key) {
    typedefs_.emplace_back(entry.target, qualified(die.string(dw::DW_AT_name)));
  } else if (TypeDetail* detail = anonymous(entry.target)) {
    rename(*detail, qualified(die.string(dw::DW_AT_name)));
  }
}

TypeDetail* TypeCollector::anonymous(EntryKey key) {
  const uint32_t found = types_.find(key);
  if (found == kNoIndex) return nullptr;
  const TypeEntry& entry = types_.entries[found];
  if (entry.kind != EntryKind::compound && entry.kind != EntryKind::enumeration) return nullptr;
  TypeDetail& detail = types_.details[entry.detail];
  return detail.name.empty() ? &detail : nullptr;
}

// What belongs to the compound around it. Returns the detail whose members follow, or kNoIndex.
uint32_t TypeCollector::add_part(const Die& die, uint32_t compound) {
  TypeDetail& owner = types_.details[compound];
  switch (die.tag()) {
    case dw::DW_TAG_member:
      add_member(die, owner);
      return kNoIndex;
    case dw::DW_TAG_inheritance:
      add_base_class(die, owner);
      return kNoIndex;
    case dw::DW_TAG_subprogram:
      add_function(die, owner);
      return kNoIndex;
    case dw::DW_TAG_template_type_parameter:
      append_argument(owner, target_of(die, dw::DW_AT_type));
      return kNoIndex;
    case dw::DW_TAG_template_value_parameter:
    case dw::DW_TAG_GNU_template_template_param:
      append_argument(owner, kNoEntry);
      return kNoIndex;
    case dw::DW_TAG_GNU_template_parameter_pack:
      return compound;
    case dw::DW_TAG_variant_part:  // the variants of a Rust enum lie on top of each other
      owner.kind = TypeKind::union_;
      return compound;
    case dw::DW_TAG_variant:
      return compound;
    default:
      return kNoIndex;
  }
}

void TypeCollector::add_member(const Die& die, TypeDetail& owner) {
  TypeMember member{.name = die.string(dw::DW_AT_name).substr(0, kMaxNameBytes)};
  const auto bit_size = die.number(dw::DW_AT_bit_size);
  member.is_bit_field = bit_size.has_value();
  member.bit_size = static_cast<uint8_t>(std::min<uint64_t>(bit_size.value_or(0), 64));
  if (auto bits = die.number(dw::DW_AT_data_bit_offset)) {
    member.offset_bytes = *bits / 8;
    member.bit_offset = static_cast<uint8_t>(*bits % 8);
    member.is_bit_field = true;
  } else if (auto location = die.find(dw::DW_AT_data_member_location)) {
    auto offset = member_offset(*location);
    if (!offset) return;
    member.offset_bytes = *offset;
    if (auto above = die.number(dw::DW_AT_bit_offset); above && member.is_bit_field) {
      member.bits_above = static_cast<uint8_t>(std::min<uint64_t>(*above, UINT8_MAX - 1));
    }
  } else if (die.flag(dw::DW_AT_external) || die.flag(dw::DW_AT_declaration)) {
    return;  // static
  }
  member.type = target_of(die, dw::DW_AT_type);
  set_variant(member);
  append(owner, member);
}

// Of a Rust enum: the number that says which variant is there, or one of these.
void TypeCollector::set_variant(TypeMember& member) {
  const Die& around = scopes_.back().die;
  if (around.tag() == dw::DW_TAG_variant_part) member.variant = FieldVariant::discriminant;
  if (around.tag() != dw::DW_TAG_variant || around.find(dw::DW_AT_discr_list)) return;
  const auto value = around.find(dw::DW_AT_discr_value);
  if (!value) {
    member.variant = FieldVariant::otherwise;
  } else if (auto number = value->getAsUnsignedConstant()) {
    member.variant = FieldVariant::when;
    member.discriminant = *number;
  } else if (auto negative = value->getAsSignedConstant()) {
    member.variant = FieldVariant::when;
    member.discriminant = static_cast<uint64_t>(*negative);
  }
}

// A class has no symbol name in debug info, but its functions have, and begin with it. Asked of templates whose objects
// are known by a symbol only: those with virtual functions, and those that handle what std::function and std::any hold.
void TypeCollector::add_function(const Die& die, TypeDetail& owner) {
  if (owner.name.empty()) return name_lambda(die, owner);
  if (!owner.mangled.empty() || !owner.name.ends_with('>')) return;
  const bool is_handler = owner.name.starts_with("std::_Function_handler<") ||
                          owner.name.starts_with("std::any::_Manager_external<") ||
                          owner.name.find("::__any_imp::_LargeHandler<") != std::string_view::npos;
  if (!is_handler && die.number(dw::DW_AT_virtuality).value_or(0) == 0) return;
  owner.mangled = mangled_class(die.string(dw::DW_AT_linkage_name), die.string(dw::DW_AT_name));
}

// The class of a lambda has no name: g++'s functions of it have a symbol, "f()::'lambda'(int)::operator()"; clang's at
// least a place in the source.
void TypeCollector::name_lambda(const Die& function, TypeDetail& owner) {
  const std::string_view symbol = function.string(dw::DW_AT_linkage_name);
  if (symbol.find("Ul") != std::string_view::npos && symbol.size() <= kMaxNameBytes) {
    std::string name = demangle(symbol);
    const size_t end = std::max(name.rfind("::~") + 1, name.rfind("::operator") + 1);  // npos + 1 is 0
    if (end == 0) return;
    name.resize(end - 1);
    if (name.size() <= kMaxNameBytes) rename(owner, types_.names.emplace_back(std::move(name)));
  } else if (function.string(dw::DW_AT_name) == "operator()") {
    if (std::string place = source_line(function); !place.empty()) {
      rename(owner, types_.names.emplace_back("(lambda at " + place + ")"));
    }
  }
}

// "src/cache.cc:12"; empty when the entry does not say.
std::string TypeCollector::source_line(const Die& die) {
  const auto file = die.number(dw::DW_AT_decl_file);
  const auto line = die.number(dw::DW_AT_decl_line);
  if (!file || !line || !lines_.offset || lines_.sections == nullptr) return {};
  if (!files_) files_.emplace(*lines_.sections, *lines_.offset, lines_.compilation_directory);
  const std::string path = files_->path(*file);
  return path.empty() ? path : path + ":" + std::to_string(*line);
}

// The place of a virtual base takes an object to know: such a base is left out.
void TypeCollector::add_base_class(const Die& die, TypeDetail& owner) {
  auto location = die.find(dw::DW_AT_data_member_location);
  auto offset = location ? member_offset(*location) : std::optional<uint64_t>(0);
  if (!offset || die.number(dw::DW_AT_virtuality).value_or(0) != 0) return;
  append(owner, {.type = target_of(die, dw::DW_AT_type), .offset_bytes = *offset, .is_base = true});
}

void TypeCollector::append(TypeDetail& owner, const TypeMember& member) {
  const auto at = static_cast<uint32_t>(types_.members.size());
  (owner.first_member == kNoIndex ? owner.first_member : types_.members[owner.last_member].next) = at;
  owner.last_member = at;
  types_.members.push_back(member);
}

void TypeCollector::append_argument(TypeDetail& owner, EntryKey type) {
  const auto at = static_cast<uint32_t>(types_.arguments.size());
  (owner.first_argument == kNoIndex ? owner.first_argument : types_.arguments[owner.last_argument].next) = at;
  owner.last_argument = at;
  types_.arguments.push_back({.type = type});
}

EntryKey TypeCollector::target_of(const Die& die, dw::Attribute attribute) {
  auto key = die.reference_key(attribute, signatures_);
  if (!key && die.find(attribute)) ++types_.damage;
  return key.value_or(kNoEntry);
}

// The name behind those of the scopes around the current entry.
std::string_view TypeCollector::qualified(std::string_view name) {
  name = name.substr(0, kMaxNameBytes);
  const std::string& scope = scope_name(scopes_.size() - 1);
  if (name.empty() || scope.empty()) return name;
  return types_.names.emplace_back(joined(scope, name));
}

// Names of scopes are put together when something in them asks, once: most hold no type.
const std::string& TypeCollector::scope_name(size_t level) {
  Scope& scope = scopes_[level];
  if (scope.is_named) return scope.name;
  scope.is_named = true;
  const std::string& outer = scope_name(level - 1);
  const dw::Tag tag = scope.die.tag();
  if (is_function(tag)) {
    CompletedEntry function = complete(scope.die);
    scope.name = is_mangled(function.linkage_name) ? demangle_function(function.linkage_name) + "()"
                 : function.name.empty()           ? outer
                                                   : joined(outer, function.name) + "()";
  } else if (is_namespace(tag)) {
    std::string_view name = scope.die.string(dw::DW_AT_name);
    scope.name = joined(outer, name.empty() ? "(anonymous namespace)" : name);
  } else if (scope.compound != kNoIndex && !types_.details[scope.compound].name.empty()) {
    scope.name = types_.details[scope.compound].name;
  } else if (is_type_with_members(tag)) {
    std::string_view name = scope.die.string(dw::DW_AT_name);
    scope.name = joined(outer, name.empty() ? "(anonymous)" : name);
  } else {
    scope.name = outer;
  }
  if (scope.name.size() > kMaxNameBytes) scope.name.resize(kMaxNameBytes);
  return scope.name;
}

UnitTypes TypeCollector::finish() && {
  for (const auto& [target, name] : typedefs_) {
    if (TypeDetail* detail = anonymous(target)) rename(*detail, name);
  }
  return std::move(types_);
}

}  // namespace heapwalk
