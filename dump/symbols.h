// The symbols of one ELF image, sorted by link address.
//
// From `.symtab` where it is there, from `.dynsym`, and from the xz-compressed `.gnu_debugdata` ("MiniDebugInfo") that
// some distributions leave in stripped files. Addresses are *link* addresses; Module adds the bias, in one place.
// TLS symbols are kept apart: their value is an offset into the module's TLS block, not an address.
// Names borrow from the image (or from the decompressed table the image owns).
//
// Symbols nest and overlap (a local label inside a hand-written function, an alias that is shorter than its target). The
// table flattens them once into disjoint spans, each naming the symbol that wins there, so that find() is one binary
// search whatever the symbols look like:
//
//     outer   [----------------------)             spans:  outer | inner | outer
//     inner          [------)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
  bool check() const;  // sorted, without duplicates; spans sorted and inside their symbols

 private:
  struct Span {  // from `begin` to the next span's begin
    uint64_t begin = 0;
    uint32_t symbol = 0;  // index into the sorted symbols, or kNone
  };
  struct NameIndex;
  static constexpr uint32_t kNone = 0xffffffff;
  static std::vector<Span> flatten(std::span<const Symbol> sorted);
  static const Symbol* find_in(std::span<const Span> spans, std::span<const Symbol> symbols, uint64_t address);

  std::vector<Symbol> symbols_;
  std::vector<Symbol> tls_;
  std::vector<Span> symbol_spans_;
  std::vector<Span> tls_spans_;
  std::shared_ptr<NameIndex> names_;  // made by the first find_by_name, thread-safe
};

// `_ZN3foo3barE` → `foo::bar`; Rust's v0 and legacy names too; anything that is not mangled comes back as it is.
std::string demangle(std::string_view name);

}  // namespace heapwalk
