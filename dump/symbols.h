// The symbols of one ELF image, sorted by link address.
//
// From `.symtab` where it is there, from `.dynsym`, and from the xz-compressed `.gnu_debugdata` ("MiniDebugInfo") that
// some distributions leave in stripped files. Addresses are *link* addresses; Module adds the bias, in one place.
// TLS symbols are kept apart: their value is an offset into the module's TLS block, not an address.
// Names borrow from the image (or from the decompressed table the image owns).
// Symbols nest and overlap; interval_index.h answers which one covers an address.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dump/interval_index.h"

namespace heapwalk {

enum class SymbolKind : uint8_t { object, function, tls, other };

struct Symbol {
  uint64_t link_address = 0;  // TLS: offset in the module's TLS segment
  uint64_t size_bytes = 0;    // 0 where the producer did not say (hand-written assembly)
  std::string_view name;      // as in the file: mangled, without its @VERSION
  SymbolKind kind = SymbolKind::other;
  bool global = false;  // STB_GLOBAL, STB_WEAK or STB_GNU_UNIQUE: preferred where several share an address
};

class SymbolTable {
 public:
  SymbolTable() = default;
  // Sorts and removes duplicates (same address, size and name in .symtab and .dynsym).
  explicit SymbolTable(std::vector<Symbol> symbols);

  // Objects and functions, by address. Where several share one address, global ones with a size come first.
  std::span<const Symbol> all() const { return symbols_; }
  std::span<const Symbol> tls() const { return tls_; }

  // The symbol that covers the address: the last one that begins at or before it and whose size reaches over it (a
  // symbol of size 0 covers only its own address).
  const Symbol* find(uint64_t link_address) const;
  const Symbol* find_tls(uint64_t offset) const;
  // By exact name; where several have it, a global one, then the lowest. Expected O(1): the first call builds a hash index.
  const Symbol* find_by_name(std::string_view name) const;

  bool empty() const { return symbols_.empty() && tls_.empty(); }
  bool check() const;  // both lists and their indexes are sorted

 private:
  struct NameIndex;
  std::vector<Symbol> symbols_;
  std::vector<Symbol> tls_;
  IntervalIndex symbol_index_;
  IntervalIndex tls_index_;
  std::shared_ptr<NameIndex> names_;  // made by the first find_by_name, thread-safe
};

// `_ZN3foo3barE` → `foo::bar`; Rust's v0 and legacy names too; anything that is not mangled comes back as it is.
std::string demangle(std::string_view name);
// Of a C++ function's mangled name, the function without return type and parameters: `ns::Cache::find`. Anything else
// comes back as demangle() has it.
std::string demangle_function(std::string_view name);
// The part of a member function's mangled name that stands for its class: `St6vectorIiE` of `_ZNSt6vectorIiE4sizeEv` and
// "size". Empty when the function is none of that name.
std::string_view mangled_class(std::string_view function, std::string_view name);
// The same part of `_ZTVSt6vectorIiE`, `_ZTVN2ns3MapIiEE`.
std::string_view mangled_class(std::string_view vtable);

}  // namespace heapwalk
