#include "dwarf/unit_variables.h"

#include <algorithm>

#include "dump/symbols.h"
#include "dwarf/entry_names.h"
#include "dwarf/leb128.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

std::optional<uint64_t> read_address_index(llvm::DWARFUnit& unit, ByteReader& reader) {
  auto index = read_uleb(reader);
  if (!index || *index > UINT32_MAX) return std::nullopt;
  auto address = unit.getAddrOffsetSectionItem(static_cast<uint32_t>(*index));
  return address ? std::optional(address->Address) : std::nullopt;
}

}  // namespace

VariableCollector::VariableCollector(const Module& module, const LineTable& lines, const SignatureMap& signatures,
                                     const Die& unit_die)
    : module_(module),
      files_(lines, unit_die.unit()),
      signatures_(signatures),
      unit_(unit_die.unit()),
      unit_die_(unit_die) {}

// The place that a location expression fixes without registers or memory; nullopt for all others.
std::optional<VariableCollector::Place> VariableCollector::read_place(llvm::DWARFUnit& unit, Bytes expression) {
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

// GCC puts the link address of a thread-local's initial value into .debug_addr, where the offset in the block should be.
VariableCollector::Place VariableCollector::offset_in_block(const Place& place) const {
  if (!module_.tls || place.link_address < module_.tls->size_bytes) return place;
  const uint64_t offset = place.link_address - module_.tls->link_address;
  return offset < module_.tls->size_bytes ? Place{offset, true} : place;
}

bool VariableCollector::is_in_module(const Place& place) const {
  if (place.tls) return module_.tls && place.link_address < module_.tls->size_bytes;
  // A variable that the linker dropped has the address 0 or a tombstone.
  Address address = module_.to_runtime(place.link_address);
  return place.link_address != 0 && std::ranges::any_of(module_.segments, [&](const ModuleSegment& segment) {
           return segment.range.contains(address);
         });
}

const Symbol* VariableCollector::symbol_at(const Place& place) const {
  const Symbol* symbol =
      place.tls ? module_.symbols.find_tls(place.link_address) : module_.symbols.find(place.link_address);
  return symbol != nullptr && symbol->link_address == place.link_address ? symbol : nullptr;
}

void VariableCollector::visit(const Die& die, const Scopes& scopes) {
  auto location = die.find(dw::DW_AT_location);
  auto block = location ? location->getAsBlock() : std::nullopt;
  if (!block || block->empty()) return;
  auto place = read_place(unit_, Bytes(reinterpret_cast<const std::byte*>(block->data()), block->size()));
  if (place && place->tls) place = offset_in_block(*place);
  if (!place || !is_in_module(*place)) return;

  CompletedEntry completed = complete(die);
  const Symbol* symbol = symbol_at(*place);
  Variable variable;
  variable.tls = place->tls;
  variable.address = place->tls ? Address{place->link_address} : module_.to_runtime(place->link_address);
  variable.size_bytes = symbol != nullptr ? symbol->size_bytes : 0;
  variable.source = files_.text(completed.file_unit, completed.file, completed.line);

  variable.name = without_abi_tags(name_variable(completed, symbol, scopes));
  if (variable.name.empty()) return;  // a string literal
  EntryKey type = kNoEntry;
  if (completed.typed) type = completed.typed->reference_key(dw::DW_AT_type, signatures_).value_or(kNoEntry);
  variables_.push_back({std::move(variable), type});
}

std::string VariableCollector::name_variable(const CompletedEntry& completed, const Symbol* symbol,
                                             const Scopes& scopes) {
  // Without a name: an anonymous union, say. Clang leaves functions unnamed that were inlined everywhere.
  if (completed.name.empty()) return symbol != nullptr ? demangle(symbol->name) : "";
  Scope scope = scope_of(scopes);
  if (scope.in_function) {
    if (scope.text.empty()) return symbol != nullptr ? demangle(symbol->name) : std::string(completed.name);
    if (scope.declared_at) unnamed_.emplace_back(*scope.declared_at, variables_.size());
    return joined(std::move(scope.text), completed.name);
  }
  if (is_mangled(completed.linkage_name)) return demangle(completed.linkage_name);
  if (completed.declaration && &completed.declaration->unit() == &unit_) {
    unnamed_.emplace_back(completed.declaration->offset(), variables_.size());
    return std::string(completed.name);
  }
  if (completed.declaration) return joined(scope_text(*completed.declaration, effort_), completed.name);
  return joined(std::move(scope.text), completed.name);
}

// The scopes in words, "ns::Class" or "function()". The innermost function stands for all that is around it.
VariableCollector::Scope VariableCollector::scope_of(const Scopes& scopes) {
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
      CompletedEntry completed = complete(scope);
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
      if (completed.declaration) {
        parts.push_back(scope_text(*completed.declaration, effort_));
        break;
      }
    } else if (is_namespace(scope.tag())) {
      parts.emplace_back(name.empty() ? "(anonymous namespace)" : name);
    } else if (is_type_with_members(scope.tag())) {
      parts.emplace_back(name.empty() ? "(anonymous)" : name);
    }
  }
  std::string text;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) text = joined(std::move(text), *part);
  return {std::move(text), in_function, declared_at};
}

std::vector<FoundVariable> VariableCollector::finish() && {
  if (!unnamed_.empty()) complete_names();
  return std::move(variables_);
}

void VariableCollector::complete_names() {
  std::ranges::sort(unnamed_);
  walk_entries(unit_die_, [&](const Die& die, const Scopes& scopes) {
    auto at = std::ranges::lower_bound(unnamed_, die.offset(), {}, &Unnamed::first);
    for (; at != unnamed_.end() && at->first == die.offset(); ++at) {
      std::string& name = variables_[at->second].variable.name;
      name = joined(scope_of(scopes).text, name);
    }
    const auto sibling = die.has_children() ? die.sibling() : std::nullopt;
    return at == unnamed_.end() || (sibling && at->first >= *sibling);
  });
}

}  // namespace heapwalk
