#include "dump/module.h"

namespace heapwalk {

std::optional<AddressRange> Module::symbol_range(std::string_view symbol_name) const {
  const Symbol* symbol = symbols.find_by_name(symbol_name);
  if (symbol == nullptr || symbol->kind == SymbolKind::tls) return std::nullopt;
  return AddressRange::of(to_runtime(symbol->link_address), symbol->size_bytes);
}

}  // namespace heapwalk
