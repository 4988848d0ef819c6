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

// Sorts by address through small keys first: a symbol is 40 bytes, and its name is a cache miss.
void sort_and_deduplicate(std::vector<Symbol>& symbols) {
  struct Key {
    uint64_t address;
    uint32_t index;
  };
  std::vector<Key> keys(symbols.size());
  for (size_t i = 0; i < symbols.size(); ++i) keys[i] = {symbols[i].link_address, static_cast<uint32_t>(i)};
  std::ranges::sort(keys, {}, &Key::address);
  std::vector<Symbol> sorted;
  sorted.reserve(symbols.size());
  for (size_t first = 0; first < keys.size();) {
    auto begin = static_cast<ptrdiff_t>(sorted.size());
    size_t next = first;
    for (; next < keys.size() && keys[next].address == keys[first].address; ++next) {
      sorted.push_back(symbols[keys[next].index]);
    }
    if (next - first > 1) std::sort(sorted.begin() + begin, sorted.end(), comes_before);
    first = next;
  }
  auto same = [](const Symbol& a, const Symbol& b) {
    return a.link_address == b.link_address && a.size_bytes == b.size_bytes && a.name == b.name;
  };
  sorted.erase(std::unique(sorted.begin(), sorted.end(), same), sorted.end());
  symbols = std::move(sorted);
}

std::vector<Interval> intervals_of(std::span<const Symbol> symbols) {
  std::vector<Interval> intervals(symbols.size());
  std::ranges::transform(symbols, intervals.begin(),
                         [](const Symbol& symbol) { return Interval{symbol.link_address, symbol.size_bytes}; });
  return intervals;
}

constexpr uint32_t kNone = 0xffffffff;

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
  symbol_index_ = IntervalIndex(intervals_of(symbols_));
  tls_index_ = IntervalIndex(intervals_of(tls_));
}

const Symbol* SymbolTable::find(uint64_t link_address) const {
  auto found = symbol_index_.find(link_address);
  return found ? &symbols_[*found] : nullptr;
}

const Symbol* SymbolTable::find_tls(uint64_t offset) const {
  auto found = tls_index_.find(offset);
  return found ? &tls_[*found] : nullptr;
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
  return std::ranges::is_sorted(symbols_, comes_before) && std::ranges::is_sorted(tls_, comes_before) &&
         symbol_index_.check(intervals_of(symbols_)) && tls_index_.check(intervals_of(tls_));
}

std::string_view mangled_class(std::string_view function, std::string_view name) {
  if (!function.starts_with("_ZN") || name.empty()) return {};
  const size_t begin = function.find_first_not_of("rVKRO", 3);  // qualifiers of the function
  const std::string part = std::to_string(name.size()) + std::string(name);
  const size_t end = function.rfind(part);
  if (begin == std::string_view::npos || end == std::string_view::npos || end <= begin) return {};
  const size_t next = end + part.size();
  const bool ends_there = next < function.size() && (function[next] == 'E' || function[next] == 'B');
  return ends_there ? function.substr(begin, end - begin) : std::string_view();
}

std::string_view mangled_class(std::string_view vtable) {
  if (!vtable.starts_with("_ZTV")) return {};
  vtable.remove_prefix(4);
  return vtable.starts_with('N') && vtable.ends_with('E') ? vtable.substr(1, vtable.size() - 2) : vtable;
}

}  // namespace heapwalk
