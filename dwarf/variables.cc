// Each unit is walked once, entry by entry, with a stack of the offsets of the entries around the current one. Only an
// entry that is a variable with a fixed location is looked at more closely, and only then are the names around it read.
//
//     DW_TAG_variable  DW_AT_location  DW_OP_addr A                            a global, or a static of some scope
//                                      DW_OP_addrx i                           the same, by way of .debug_addr
//                                      DW_OP_const8u O, DW_OP_form_tls_address a thread-local: offset in the TLS block
//
// A name is put together from what is best known: the linkage name, which says it all for C++ variables that other units
// can see; else the scopes around the entry; else, for a member defined outside its class, the scopes around its
// declaration, which a second walk over the unit finds.
// Source: DWARF 5 §4.1 (variables), §2.13.2 (declarations completed elsewhere), §2.6.1.2 (addresses).
#include "dwarf/variables.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <unordered_map>

#include "dump/base/parallel.h"
#include "dwarf/debug_info.h"
#include "dwarf/line_files.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

constexpr int kMaxReferences = 16;  // in a chain of origins or types
constexpr size_t kMaxDepth = 4096;  // of nested entries

struct Place {
  uint64_t link_address = 0;  // or the offset in the TLS block
  bool tls = false;
};

std::optional<uint64_t> read_uleb(ByteReader& reader) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    auto byte = reader.read<uint8_t>();
    if (!byte) return std::nullopt;
    value |= uint64_t{*byte & 0x7fu} << shift;
    if ((*byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

std::optional<uint64_t> read_address_index(llvm::DWARFUnit& unit, ByteReader& reader) {
  auto index = read_uleb(reader);
  if (!index || *index > UINT32_MAX) return std::nullopt;
  auto address = unit.getAddrOffsetSectionItem(static_cast<uint32_t>(*index));
  return address ? std::optional(address->Address) : std::nullopt;
}

// The place that a location expression fixes without registers or memory; nullopt for all others.
std::optional<Place> read_place(llvm::DWARFUnit& unit, Bytes expression) {
  ByteReader reader(expression);
  std::optional<uint64_t> value;
  switch (reader.read<uint8_t>().value_or(0)) {
    case dw::DW_OP_addr:
    case dw::DW_OP_const8u:
      value = reader.read<uint64_t>();
      break;
    case dw::DW_OP_const4u:
      value = reader.read<uint32_t>();
      break;
    case dw::DW_OP_addrx:
    case dw::DW_OP_GNU_addr_index:
    case dw::DW_OP_constx:
    case dw::DW_OP_GNU_const_index:
      value = read_address_index(unit, reader);
      break;
    default:
      return std::nullopt;
  }
  if (!value) return std::nullopt;
  auto first = static_cast<uint8_t>(expression[0]);
  bool is_address = first == dw::DW_OP_addr || first == dw::DW_OP_addrx || first == dw::DW_OP_GNU_addr_index;
  if (reader.remaining() == 0) return is_address ? std::optional(Place{*value, false}) : std::nullopt;
  auto next = reader.read<uint8_t>();
  if (next == dw::DW_OP_plus_uconst && is_address) {
    auto addend = read_uleb(reader);
    if (!addend || reader.remaining() != 0) return std::nullopt;
    return Place{*value + *addend, false};
  }
  bool is_tls = next == dw::DW_OP_form_tls_address || next == dw::DW_OP_GNU_push_tls_address;
  return is_tls && reader.remaining() == 0 ? std::optional(Place{*value, true}) : std::nullopt;
}

// An entry completed by the entries that it refers to: its declaration, the abstract instance of an inlined function.
struct Completed {
  std::string_view name;
  std::string_view linkage_name;
  uint64_t line = 0;
  uint64_t file = 0;
  llvm::DWARFUnit* file_unit = nullptr;
  std::optional<Die> type;
  std::optional<Die> declaration;  // the last entry referred to: it stands in the scope that the name belongs to
};

Completed complete(Die die) {
  Completed result;
  for (int i = 0; i < kMaxReferences; ++i) {
    if (result.name.empty()) result.name = die.string(dw::DW_AT_name);
    if (result.linkage_name.empty()) result.linkage_name = die.string(dw::DW_AT_linkage_name);
    if (result.linkage_name.empty()) result.linkage_name = die.string(dw::DW_AT_MIPS_linkage_name);
    if (result.line == 0) result.line = die.number(dw::DW_AT_decl_line).value_or(0);
    if (result.file_unit == nullptr) {
      if (auto file = die.number(dw::DW_AT_decl_file)) {
        result.file = *file;
        result.file_unit = &die.unit();
      }
    }
    if (!result.type) result.type = die.reference(dw::DW_AT_type);
    auto next = die.reference(dw::DW_AT_abstract_origin);
    if (!next) next = die.reference(dw::DW_AT_specification);
    if (!next) break;
    result.declaration = next;
    die = *next;
  }
  return result;
}

// The number of elements that an array's subranges say; 0 when they do not.
uint64_t element_count(const Die& array) {
  uint64_t count = 1;
  uint64_t offset = array.end();
  Die child;
  for (int dimension = 0; array.has_children() && dimension < 64 && child.read(array.unit(), offset); ++dimension) {
    if (child.tag() != dw::DW_TAG_subrange_type || child.has_children()) break;
    uint64_t elements = 0;
    if (auto number = child.number(dw::DW_AT_count)) elements = *number;
    if (auto bound = child.number(dw::DW_AT_upper_bound)) elements = *bound + 1;
    if (elements > (uint64_t{1} << 40) || count > (uint64_t{1} << 40)) return 0;
    count *= elements;
  }
  return count;
}

uint64_t size_of_type(std::optional<Die> type) {
  uint64_t factor = 1;
  for (int i = 0; type && i < kMaxReferences; ++i) {
    if (auto size = type->number(dw::DW_AT_byte_size)) {
      bool sane = *size < (uint64_t{1} << 40) && factor < (uint64_t{1} << 40) / std::max<uint64_t>(*size, 1);
      return sane ? *size * factor : 0;
    }
    switch (type->tag()) {
      case dw::DW_TAG_pointer_type:
      case dw::DW_TAG_reference_type:
      case dw::DW_TAG_rvalue_reference_type:
      case dw::DW_TAG_ptr_to_member_type:
        return factor * 8;
      case dw::DW_TAG_array_type: {
        uint64_t count = element_count(*type);
        factor = count < (uint64_t{1} << 40) && factor < (uint64_t{1} << 20) ? factor * count : 0;
        break;
      }
      default:
        break;
    }
    type = type->reference(dw::DW_AT_type);
  }
  return 0;
}

bool is_function(dw::Tag tag) {
  return tag == dw::DW_TAG_subprogram || tag == dw::DW_TAG_inlined_subroutine;
}

bool is_type_with_members(dw::Tag tag) {
  return tag == dw::DW_TAG_class_type || tag == dw::DW_TAG_structure_type || tag == dw::DW_TAG_union_type ||
         tag == dw::DW_TAG_enumeration_type;
}

bool is_c_family(uint64_t language) {
  switch (language) {
    case dw::DW_LANG_C89:
    case dw::DW_LANG_C:
    case dw::DW_LANG_C99:
    case dw::DW_LANG_C11:
    case dw::DW_LANG_C17:
    case dw::DW_LANG_C_plus_plus:
    case dw::DW_LANG_C_plus_plus_03:
    case dw::DW_LANG_C_plus_plus_11:
    case dw::DW_LANG_C_plus_plus_14:
    case dw::DW_LANG_C_plus_plus_17:
    case dw::DW_LANG_C_plus_plus_20:
      return true;
    default:
      return false;
  }
}

std::string joined(std::string scope, std::string_view name) {
  if (!scope.empty()) scope += "::";
  scope += name;
  return scope;
}

// "table[abi:cxx11]" → "table": a tag of the ABI, which no source has.
std::string without_abi_tags(std::string text) {
  for (size_t begin; (begin = text.find("[abi:")) != std::string::npos;) {
    size_t end = text.find(']', begin);
    if (end == std::string::npos) break;
    text.erase(begin, end + 1 - begin);
  }
  return text;
}

bool is_mangled(std::string_view name) {
  return name.starts_with("_Z") || name.starts_with("_R");
}

class UnitReader {
 public:
  UnitReader(const Module& module, const DebugSections& sections, llvm::DWARFUnit& unit)
      : module_(module), sections_(sections), unit_(unit) {}

  std::vector<Variable> read();
  bool is_skeleton() const { return is_skeleton_; }

 private:
  using Scopes = std::vector<uint64_t>;  // offsets of the entries around the current one, the unit's own first

  struct Scope {
    std::string text;
    bool in_function = false;
    std::optional<uint64_t> declared_at;  // the text lacks what is around the entry there
  };

  template <class Visit>
  void walk(Visit&& visit);
  void add_variable(const Die& die, const Scopes& scopes);
  bool is_in_module(const Place& place) const;
  Scope scope_of(const Scopes& scopes);
  std::string name_variable(const Completed& completed, const Symbol* symbol, const Scopes& scopes);
  std::string source_text(const Completed& completed);
  const Symbol* symbol_at(const Place& place) const;
  void complete_names();

  const Module& module_;
  const DebugSections& sections_;
  llvm::DWARFUnit& unit_;
  Die unit_die_;
  bool is_skeleton_ = false;
  bool skips_types_ = false;
  std::vector<Variable> variables_;
  std::unordered_multimap<uint64_t, size_t> unnamed_;  // declaration in this unit → variable that lacks its scopes
  std::optional<LineFiles> files_;
};

std::vector<Variable> UnitReader::read() {
  if (!open_unit(unit_, unit_die_, is_skeleton_)) return {};
  // Types of the C family hold no variable with a location: their bodies are stepped over where the compiler says how.
  skips_types_ = is_c_family(unit_die_.number(dw::DW_AT_language).value_or(0));
  walk([this](const Die& die, const Scopes& scopes) {
    if (die.tag() == dw::DW_TAG_variable) add_variable(die, scopes);
    return skips_types_ && is_type_with_members(die.tag());
  });
  if (!unnamed_.empty()) complete_names();
  return std::move(variables_);
}

// Calls visit(die, scopes) for every entry below the unit's own; when that returns true, the entry's children are
// skipped if it has a DW_AT_sibling.
template <class Visit>
void UnitReader::walk(Visit&& visit) {
  Scopes scopes = {unit_die_.offset()};
  if (!unit_die_.has_children()) return;
  uint64_t offset = unit_die_.end();
  Die die;
  while (!scopes.empty() && die.read(unit_, offset)) {
    if (die.tag() == dw::DW_TAG_null) {
      scopes.pop_back();
      continue;
    }
    bool skip = visit(die, scopes);
    if (!die.has_children()) continue;
    auto sibling = skip ? die.sibling() : std::nullopt;
    if (sibling) {
      offset = *sibling;
    } else {
      if (scopes.size() >= kMaxDepth) return;
      scopes.push_back(die.offset());
    }
  }
}

bool UnitReader::is_in_module(const Place& place) const {
  if (place.tls) return module_.tls && place.link_address < module_.tls->size_bytes;
  // A variable that the linker dropped has the address 0 or a tombstone.
  Address address = module_.to_runtime(place.link_address);
  return place.link_address != 0 && std::ranges::any_of(module_.segments, [&](const ModuleSegment& segment) {
           return segment.range.contains(address);
         });
}

const Symbol* UnitReader::symbol_at(const Place& place) const {
  const Symbol* symbol =
      place.tls ? module_.symbols.find_tls(place.link_address) : module_.symbols.find(place.link_address);
  return symbol != nullptr && symbol->link_address == place.link_address ? symbol : nullptr;
}

void UnitReader::add_variable(const Die& die, const Scopes& scopes) {
  auto location = die.find(dw::DW_AT_location);
  auto block = location ? location->getAsBlock() : std::nullopt;
  if (!block || block->empty()) return;
  auto place = read_place(unit_, Bytes(reinterpret_cast<const std::byte*>(block->data()), block->size()));
  if (!place || !is_in_module(*place)) return;

  Completed completed = complete(die);
  const Symbol* symbol = symbol_at(*place);
  Variable variable;
  variable.tls = place->tls;
  variable.address = place->tls ? Address{place->link_address} : module_.to_runtime(place->link_address);
  variable.size_bytes =
      symbol != nullptr && symbol->size_bytes != 0 ? symbol->size_bytes : size_of_type(completed.type);
  variable.source = source_text(completed);

  variable.name = without_abi_tags(name_variable(completed, symbol, scopes));
  if (variable.name.empty()) return;  // a string literal
  variables_.push_back(std::move(variable));
}

std::string UnitReader::name_variable(const Completed& completed, const Symbol* symbol, const Scopes& scopes) {
  // Without a name: an anonymous union, say. Clang leaves functions unnamed that were inlined everywhere.
  if (completed.name.empty()) return symbol != nullptr ? demangle(symbol->name) : "";
  Scope scope = scope_of(scopes);
  if (scope.in_function) {
    if (scope.text.empty()) return symbol != nullptr ? demangle(symbol->name) : std::string(completed.name);
    if (scope.declared_at) unnamed_.emplace(*scope.declared_at, variables_.size());
    return joined(std::move(scope.text), completed.name);
  }
  if (is_mangled(completed.linkage_name)) return demangle(completed.linkage_name);
  if (completed.declaration && &completed.declaration->unit() == &unit_) {
    unnamed_.emplace(completed.declaration->offset(), variables_.size());
    return std::string(completed.name);
  }
  return joined(std::move(scope.text), completed.name);
}

// The scopes in words, "ns::Class" or "function()". The innermost function stands for all that is around it.
UnitReader::Scope UnitReader::scope_of(const Scopes& scopes) {
  std::vector<std::string> parts;
  std::optional<uint64_t> declared_at;
  bool in_function = false;
  for (size_t i = scopes.size(); i-- > 1;) {
    uint64_t offset = scopes[i];
    Die scope;
    if (!scope.read(unit_, offset)) break;
    std::string_view name = scope.string(dw::DW_AT_name);
    if (is_function(scope.tag())) {
      if (in_function) break;
      in_function = true;
      Completed completed = complete(scope);
      if (is_mangled(completed.linkage_name)) {
        parts.push_back(demangle_function(completed.linkage_name) + "()");
        break;
      }
      if (completed.name.empty()) return {"", true, std::nullopt};
      parts.push_back(std::string(completed.name) + "()");
      if (completed.declaration && &completed.declaration->unit() == &unit_) {
        declared_at = completed.declaration->offset();
        break;
      }
    } else if (scope.tag() == dw::DW_TAG_namespace || scope.tag() == dw::DW_TAG_module) {
      parts.emplace_back(name.empty() ? "(anonymous namespace)" : name);
    } else if (is_type_with_members(scope.tag())) {
      parts.emplace_back(name.empty() ? "(anonymous)" : name);
    }
  }
  std::string text;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) text = joined(std::move(text), *part);
  return {std::move(text), in_function, declared_at};
}

std::string UnitReader::source_text(const Completed& completed) {
  if (completed.file_unit != &unit_ || completed.line == 0) return "";
  if (!files_) {
    auto table = unit_die_.number(dw::DW_AT_stmt_list);
    if (!table) return "";
    files_.emplace(sections_, *table, unit_die_.string(dw::DW_AT_comp_dir));
  }
  std::string path = files_->path(completed.file);
  return path.empty() ? "" : fmt::format("{}:{}", path, completed.line);
}

void UnitReader::complete_names() {
  walk([this](const Die& die, const Scopes& scopes) {
    auto [begin, end] = unnamed_.equal_range(die.offset());
    for (auto at = begin; at != end; ++at) {
      std::string& name = variables_[at->second].name;
      name = joined(scope_of(scopes).text, name);
    }
    return false;
  });
}

std::vector<Interval> intervals_of(std::span<const Variable> variables) {
  std::vector<Interval> intervals(variables.size());
  std::ranges::transform(variables, intervals.begin(),
                         [](const Variable& v) { return Interval{v.address.value, v.size_bytes}; });
  return intervals;
}

void sort_and_deduplicate(std::vector<Variable>& variables) {
  auto key = [](const Variable& v) { return std::pair(v.address, ~v.size_bytes); };
  std::ranges::stable_sort(variables, {}, key);
  auto twins = std::ranges::unique(variables, {}, &Variable::address);
  variables.erase(twins.begin(), twins.end());
  variables.shrink_to_fit();
}

}  // namespace

VariableTable::VariableTable(std::vector<Variable> variables) : variables_(std::move(variables)) {
  auto tls_begin = std::ranges::stable_partition(variables_, [](const Variable& v) { return !v.tls; }).begin();
  tls_.assign(std::make_move_iterator(tls_begin), std::make_move_iterator(variables_.end()));
  variables_.erase(tls_begin, variables_.end());
  sort_and_deduplicate(variables_);
  sort_and_deduplicate(tls_);
  index_ = IntervalIndex(intervals_of(variables_));
  tls_index_ = IntervalIndex(intervals_of(tls_));
}

const Variable* VariableTable::find(Address address) const {
  auto found = index_.find(address.value);
  return found ? &variables_[*found] : nullptr;
}

const Variable* VariableTable::find_tls(uint64_t offset) const {
  auto found = tls_index_.find(offset);
  return found ? &tls_[*found] : nullptr;
}

VariableTable read_variables(const Module& module, size_t threads, Diagnostics& diagnostics) {
  DebugSections sections = DebugSections::load(module, threads, diagnostics);
  if (sections.empty()) return {};

  // Every worker has a context of its own and takes the next unit; what it finds goes to the unit's slot.
  constexpr size_t kBytesPerWorker = 1 << 20;
  size_t workers =
      std::clamp<size_t>(sections.get("debug_info").size() / kBytesPerWorker, 1, std::max<size_t>(threads, 1));
  std::vector<uint64_t> damage(workers);
  std::vector<std::unique_ptr<llvm::DWARFContext>> contexts(workers);
  parallel_for(workers, threads, [&](size_t i) {
    contexts[i] = sections.make_context(damage[i]);
    contexts[i]->getNormalUnitsVector();
  });
  size_t unit_count = contexts[0]->getNormalUnitsVector().size();
  std::vector<std::vector<Variable>> found(unit_count);
  std::vector<uint8_t> skeleton(unit_count);
  std::atomic<size_t> next_unit = 0;
  parallel_for(workers, threads, [&](size_t worker) {
    const auto& units = contexts[worker]->getNormalUnitsVector();
    for (size_t i = next_unit++; i < unit_count; i = next_unit++) {
      UnitReader reader(module, sections, *units[static_cast<unsigned>(i)]);
      found[i] = reader.read();
      skeleton[i] = reader.is_skeleton();
    }
  });

  // How often LLVM complains depends on how many contexts looked: that it did is all that counts.
  if (std::ranges::any_of(damage, [](uint64_t count) { return count > 0; })) {
    diagnostics.add(
        "damaged_debug_info",
        fmt::format("{}: part of the debug info cannot be read, its variables have no names", sections.path()));
  }
  if (uint64_t count = std::ranges::count(skeleton, 1); count > 0) {
    diagnostics.add("split_debug_info",
                    fmt::format("{}: units whose debug info is in .dwo files, which are not read", sections.path()),
                    count);
  }
  std::vector<Variable> all;
  for (std::vector<Variable>& some : found) std::ranges::move(some, std::back_inserter(all));
  return VariableTable(std::move(all));
}

}  // namespace heapwalk
