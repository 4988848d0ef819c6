#include "heapwalk/types/block_pattern.h"

#include <algorithm>
#include <span>

#include "heapwalk/types/size_classes.h"
#include "heapwalk/types/text_blocks.h"

namespace heapwalk {
namespace {

constexpr uint64_t kTextSample = 256;   // bytes
constexpr uint64_t kTableSample = 64;   // words
constexpr uint64_t kLeastPointers = 8;  // among these, for a table
constexpr size_t kMaxSymbols = size_t{1} << 16;

}  // namespace

size_t BlockPattern::Hash::operator()(const BlockPattern& pattern) const {
  const uint64_t masks = uint64_t{pattern.heap} << 48 | uint64_t{pattern.program} << 32 | uint64_t{pattern.null} << 16;
  const uint64_t rest = uint64_t{pattern.size_class} << 5 | uint64_t{pattern.is_longer} << 4 |
                        uint64_t{pattern.leads_later} << 3 | static_cast<uint64_t>(pattern.form);
  return (masks ^ rest * 0x9e3779b97f4a7c15 ^ reinterpret_cast<uintptr_t>(pattern.symbol)) * 0xff51afd7ed558ccd >> 7;
}

BlockReader::BlockReader(const CoreDump& dump, const ObjectIndex& objects) : dump_(dump), objects_(objects) {
  if (!dump.modules.empty()) modules_ = {dump.modules.front().range.begin, dump.modules.back().range.end};
}

BlockPattern BlockReader::pattern_of(const std::byte* data, uint64_t size_bytes) {
  if (is_text_block({data, std::min(size_bytes, kTextSample)}, size_bytes)) return {.form = BlockForm::text};
  BlockPattern pattern{.size_class = size_class(size_bytes)};
  const uint64_t words = std::min(size_bytes / 8, kSampleBytes / 8);
  for (uint64_t i = 0; i < std::min(words, BlockPattern::kWords); ++i) {
    const auto word = load<uint64_t>(data + 8 * i);
    const auto bit = static_cast<uint16_t>(1U << i);
    switch (kind_of(word)) {
      case Word::null:
        pattern.null |= bit;
        break;
      case Word::heap:
        pattern.heap |= bit;
        break;
      case Word::program:
        pattern.program |= bit;
        if (pattern.symbol == nullptr) pattern.symbol = symbol_at(Address{word});
        break;
      case Word::other:
        break;
    }
  }
  if (size_bytes > kMaxExactSize) {
    if (is_pointer_table(data)) return {.form = BlockForm::pointers, .size_class = pattern.size_class};
    return {.form = BlockForm::large, .size_class = pattern.size_class, .symbol = pattern.symbol};
  }
  pattern.is_longer = words > BlockPattern::kWords;
  pattern.leads_later = (pattern.heap | pattern.program) == 0 && leads_on(data, words);
  pattern.form = BlockForm::words;
  return pattern;
}

bool BlockReader::is_pointer_table(const std::byte* data) {
  uint64_t pointers = 0, others = 0;
  for (uint64_t i = 0; i < kTableSample; ++i) {
    const Word kind = kind_of(load<uint64_t>(data + 8 * i));
    pointers += kind == Word::heap ? 1 : 0;
    others += kind == Word::program || kind == Word::other ? 1 : 0;
  }
  return pointers >= kLeastPointers && pointers > others;
}

bool BlockReader::leads_on(const std::byte* data, uint64_t words) {
  for (uint64_t i = BlockPattern::kWords; i < words; ++i) {
    const Word kind = kind_of(load<uint64_t>(data + 8 * i));
    if (kind == Word::heap || kind == Word::program) return true;
  }
  return false;
}

BlockReader::Word BlockReader::kind_of(uint64_t word) {
  if (word == 0) return Word::null;
  const Address address{word};
  if (objects_.span().contains(address)) {
    if (last_region_.contains(address)) return Word::heap;
    const auto regions = objects_.regions();
    auto at = std::ranges::upper_bound(regions, address, {}, &AddressRange::begin);
    if (at != regions.begin() && std::prev(at)->contains(address)) {
      last_region_ = *std::prev(at);
      return Word::heap;
    }
  }
  if (last_module_ != nullptr && last_module_->range.contains(address)) return Word::program;
  if (!modules_.contains(address)) return Word::other;
  const Module* module = dump_.find_module(address);
  if (module == nullptr) return Word::other;
  last_module_ = module;
  return Word::program;
}

const Symbol* BlockReader::symbol_at(Address address) {
  auto at = symbols_.find(address.value);
  if (at != symbols_.end()) return at->second;
  if (symbols_.size() >= kMaxSymbols) return nullptr;
  const Symbol* symbol = last_module_->find_symbol(address);
  if (symbol != nullptr && (symbol->size_bytes == 0 || symbol->kind == SymbolKind::other)) symbol = nullptr;
  symbols_.emplace(address.value, symbol);
  return symbol;
}

}  // namespace heapwalk
