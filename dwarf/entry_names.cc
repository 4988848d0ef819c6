#include "dwarf/entry_names.h"

#include <vector>

#include "dump/symbols.h"

namespace heapwalk {

namespace dw = llvm::dwarf;

CompletedEntry complete(Die die) {
  CompletedEntry result;
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
    if (!result.typed && die.find(dw::DW_AT_type)) result.typed = die;
    auto next = die.reference(dw::DW_AT_abstract_origin);
    if (!next) next = die.reference(dw::DW_AT_specification);
    if (!next) break;
    result.declaration = next;
    die = *next;
  }
  return result;
}

namespace {

// The entries around the one at `offset`, outermost first. What ends before it is skipped where it says so.
std::vector<Die> scopes_around(llvm::DWARFUnit& unit, uint64_t offset, uint64_t& effort) {
  std::vector<Die> scopes;
  Die die;
  uint64_t at = unit.getOffset() + unit.getHeaderSize();
  if (!die.read(unit, at)) return {};
  for (; effort > 0 && scopes.size() < kMaxEntryDepth; --effort) {
    if (die.tag() == dw::DW_TAG_null) {
      if (scopes.empty()) return {};
      scopes.pop_back();
    } else if (die.has_children()) {
      const auto sibling = die.sibling();
      if (sibling && *sibling <= offset) {
        at = *sibling;
      } else {
        scopes.push_back(die);
      }
    }
    if (at == offset) return scopes;
    if (at > offset || !die.read(unit, at)) break;
  }
  return {};
}

}  // namespace

std::string scope_text(const Die& die, uint64_t& effort) {
  std::string text;
  for (const Die& scope : scopes_around(die.unit(), die.offset(), effort)) {
    const std::string_view name = scope.string(dw::DW_AT_name);
    if (is_function(scope.tag())) {
      const CompletedEntry function = complete(scope);
      if (is_mangled(function.linkage_name)) {
        text = demangle_function(function.linkage_name) + "()";
      } else if (!function.name.empty()) {
        text = joined(std::move(text), function.name) + "()";
      }
    } else if (is_namespace(scope.tag())) {
      text = joined(std::move(text), name.empty() ? "(anonymous namespace)" : name);
    } else if (is_type_with_members(scope.tag())) {
      text = joined(std::move(text), name.empty() ? "(anonymous)" : name);
    }
  }
  return text;
}

bool is_function(dw::Tag tag) {
  return tag == dw::DW_TAG_subprogram || tag == dw::DW_TAG_inlined_subroutine;
}

bool is_type_with_members(dw::Tag tag) {
  return tag == dw::DW_TAG_class_type || tag == dw::DW_TAG_structure_type || tag == dw::DW_TAG_union_type ||
         tag == dw::DW_TAG_enumeration_type;
}

bool is_namespace(dw::Tag tag) {
  return tag == dw::DW_TAG_namespace || tag == dw::DW_TAG_module;
}

bool is_mangled(std::string_view name) {
  return name.starts_with("_Z") || name.starts_with("_R");
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

std::string without_abi_tags(std::string text) {
  for (size_t begin; (begin = text.find("[abi:")) != std::string::npos;) {
    size_t end = text.find(']', begin);
    if (end == std::string::npos) break;
    text.erase(begin, end + 1 - begin);
  }
  return text;
}

}  // namespace heapwalk
