#include "dump/symbols.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <mutex>
#include <tuple>

namespace heapwalk {
namespace {

// By address; where several share one: with a size first, global first, then the larger, then by name, so that the
// order does not depend on the order in the file.
auto sort_key(const Symbol& symbol) {
  return std::make_tuple(symbol.link_address, symbol.size_bytes == 0, !symbol.global, ~symbol.size_bytes);
}

bool comes_before(const Symbol& a, const Symbol& b) {
  auto key_a = sort_key(a);
  auto key_b = sort_key(b);
  return key_a != key_b ? key_a < key_b : a.name < b.name;
}

void sort_and_deduplicate(std::vector<Symbol>& symbols) {
  std::ranges::sort(symbols, comes_before);
  // .symtab and .dynsym agree on everything but, sometimes, on the binding, which moves the twin away by a place or two.
  auto same = [](const Symbol& a, const Symbol& b) {
    return a.link_address == b.link_address && a.size_bytes == b.size_bytes && a.name == b.name;
  };
  symbols.erase(std::unique(symbols.begin(), symbols.end(), same), symbols.end());
  symbols.shrink_to_fit();
}

uint64_t end_of(const Symbol& symbol) {
  uint64_t size_bytes = std::max<uint64_t>(symbol.size_bytes, 1);
  uint64_t end = symbol.link_address + size_bytes;
  return end < symbol.link_address ? UINT64_MAX : end;
}

}  // namespace

// Open addressing over the indices of symbols_ and then tls_, at most half full.
struct SymbolTable::NameIndex {
  std::once_flag once;
  std::vector<uint32_t> slots;
};

SymbolTable::SymbolTable(std::vector<Symbol> symbols) : names_(std::make_shared<NameIndex>()) {
  auto tls_begin = std::stable_partition(symbols.begin(), symbols.end(),
                                         [](const Symbol& symbol) { return symbol.kind != SymbolKind::tls; });
  tls_.assign(tls_begin, symbols.end());
  symbols.erase(tls_begin, symbols.end());
  symbols_ = std::move(symbols);
  sort_and_deduplicate(symbols_);
  sort_and_deduplicate(tls_);
  symbol_spans_ = flatten(symbols_);
  tls_spans_ = flatten(tls_);
}

// One sweep with a stack of the symbols that cover the current address, the winner on top. Those that end below a later
// one are dropped when they come up.
std::vector<SymbolTable::Span> SymbolTable::flatten(std::span<const Symbol> sorted) {
  std::vector<Span> spans;
  spans.reserve(sorted.size() + sorted.size() / 4 + 1);
  std::vector<uint32_t> open;
  auto emit = [&](uint64_t begin, uint32_t symbol) {
    if (!spans.empty() && spans.back().begin == begin) spans.pop_back();
    if (spans.empty() || spans.back().symbol != symbol) spans.push_back({begin, symbol});
  };
  // Closes what ends at or before the address.
  auto close_until = [&](uint64_t address) {
    while (!open.empty() && end_of(sorted[open.back()]) <= address) {
      uint64_t end = end_of(sorted[open.back()]);
      open.pop_back();
      while (!open.empty() && end_of(sorted[open.back()]) <= end) open.pop_back();
      emit(end, open.empty() ? kNone : open.back());
    }
  };
  for (size_t first = 0; first < sorted.size();) {
    uint64_t address = sorted[first].link_address;
    size_t last = first;
    while (last < sorted.size() && sorted[last].link_address == address) ++last;
    close_until(address);
    // Of those that begin here the first one wins; a further one shows where it reaches past all before it.
    uint64_t reach = address;
    size_t open_before = open.size();
    for (size_t i = first; i < last; ++i) {
      if (end_of(sorted[i]) <= reach) continue;
      reach = end_of(sorted[i]);
      open.push_back(static_cast<uint32_t>(i));
    }
    std::reverse(open.begin() + static_cast<ptrdiff_t>(open_before), open.end());
    emit(address, open.back());
    first = last;
  }
  close_until(UINT64_MAX);
  spans.shrink_to_fit();
  return spans;
}

const Symbol* SymbolTable::find_in(std::span<const Span> spans, std::span<const Symbol> symbols, uint64_t address) {
  auto after = std::ranges::upper_bound(spans, address, {}, &Span::begin);
  if (after == spans.begin()) return nullptr;
  uint32_t symbol = std::prev(after)->symbol;
  return symbol == kNone ? nullptr : &symbols[symbol];
}

const Symbol* SymbolTable::find(uint64_t link_address) const {
  return find_in(symbol_spans_, symbols_, link_address);
}

const Symbol* SymbolTable::find_tls(uint64_t offset) const {
  return find_in(tls_spans_, tls_, offset);
}

const Symbol* SymbolTable::find_by_name(std::string_view name) const {
  if (names_ == nullptr) return nullptr;
  size_t count = symbols_.size() + tls_.size();
  auto symbol_at = [&](size_t index) -> const Symbol& {
    return index < symbols_.size() ? symbols_[index] : tls_[index - symbols_.size()];
  };
  std::call_once(names_->once, [&] {
    size_t capacity = 16;
    while (capacity < 2 * count) capacity *= 2;
    names_->slots.assign(capacity, kNone);
    for (bool global : {true, false}) {
      for (size_t index = 0; index < count; ++index) {
        const Symbol& symbol = symbol_at(index);
        if (symbol.global != global) continue;
        size_t slot = std::hash<std::string_view>{}(symbol.name) & (capacity - 1);
        while (names_->slots[slot] != kNone && symbol_at(names_->slots[slot]).name != symbol.name) {
          slot = (slot + 1) & (capacity - 1);
        }
        if (names_->slots[slot] == kNone) names_->slots[slot] = static_cast<uint32_t>(index);
      }
    }
  });
  size_t mask = names_->slots.size() - 1;
  for (size_t slot = std::hash<std::string_view>{}(name)&mask;; slot = (slot + 1) & mask) {
    uint32_t index = names_->slots[slot];
    if (index == kNone) return nullptr;
    if (symbol_at(index).name == name) return &symbol_at(index);
  }
}

bool SymbolTable::check() const {
  auto spans_hold = [](std::span<const Span> spans, std::span<const Symbol> symbols) {
    for (size_t i = 0; i < spans.size(); ++i) {
      if (i > 0 && spans[i - 1].begin >= spans[i].begin) return false;
      if (spans[i].symbol == kNone) continue;
      if (spans[i].symbol >= symbols.size()) return false;
      const Symbol& symbol = symbols[spans[i].symbol];
      if (spans[i].begin < symbol.link_address || spans[i].begin >= end_of(symbol)) return false;
    }
    return spans.empty() || spans.back().symbol == kNone || end_of(symbols[spans.back().symbol]) == UINT64_MAX;
  };
  return std::ranges::is_sorted(symbols_, comes_before) && std::ranges::is_sorted(tls_, comes_before) &&
         spans_hold(symbol_spans_, symbols_) && spans_hold(tls_spans_, tls_);
}

}  // namespace heapwalk
