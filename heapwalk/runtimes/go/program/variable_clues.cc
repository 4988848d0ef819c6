#include "heapwalk/runtimes/go/program/variable_clues.h"

#include <algorithm>

#include "heapwalk/runtimes/go/program/code_references.h"
#include "heapwalk/runtimes/go/program/pclntab.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxCodeBytes = 1 << 17;  // of one function
constexpr size_t kMaxReferences = 2048;      // of one function
constexpr size_t kMaxNamesakes = 4;          // assembly calls some functions by a wrapper of the same name

bool is_in_place(const ModuleData& module, Place place, Address at) {
  const bool is_plain = module.noptrdata.contains(at) || module.noptrbss.contains(at);
  if (is_plain) return place == Place::plain || place == Place::anywhere;
  const MaskedRange& masked = module.data.range.contains(at) ? module.data : module.bss;
  const bool is_pointer = masked.is_pointer((at - masked.range.begin) / 8);
  switch (place) {
    case Place::plain:
      return false;
    case Place::mixed:
      return true;
    case Place::pointer:
      return is_pointer || masked.mask.empty();
    case Place::anywhere:
      return !is_pointer;
  }
  return false;
}

}  // namespace

ClueReader::ClueReader(const AddressSpace& memory, Architecture architecture, const Layout& layout,
                       const ModuleData& module)
    : memory_(memory), architecture_(architecture), layout_(layout), module_(module) {
  variables_ = {module.data.range, module.bss.range, module.noptrdata, module.noptrbss};
  for (const VariableRule& rule : variable_rules())
    for (const Clue& clue : rule.clues) functions_[clue.function];
  const auto table = LineTable::read(memory_, layout, module);
  for (size_t i = 0; table && i < table->size(); ++i) {
    const auto function = table->at(i);
    const auto wanted = function ? functions_.find(function->name) : functions_.end();
    if (wanted != functions_.end() && wanted->second.code.size() < kMaxNamesakes)
      wanted->second.code.push_back(function->code);
  }
}

// In the order of the code; null: the program has no such function, or its code is not known.
const std::vector<Address>* ClueReader::references_of(std::string_view name) {
  Function& function = functions_.at(name);
  if (!function.is_read) {
    function.is_read = true;
    for (AddressRange code : function.code) read(code, function);
  }
  return function.has_code ? &function.references : nullptr;
}

void ClueReader::read(AddressRange code, Function& function) {
  const uint64_t size = std::min(code.size_bytes(), kMaxCodeBytes);
  Bytes bytes = memory_.read_exactly(code.begin, size);
  if (bytes.empty()) {
    buffer_.resize(size);
    if (size == 0 || !memory_.copy(code.begin, buffer_)) return;
    bytes = buffer_;
  }
  const auto found = code_references(bytes, code.begin, architecture_, variables_);
  function.references.insert(function.references.end(), found.begin(), found.end());
  if (function.references.size() > kMaxReferences) function.references.resize(kMaxReferences);
  function.has_code = has_code_ = true;
}

// Where a variable may begin, by one clue. Null: the clue says nothing about this program.
std::optional<std::vector<Address>> ClueReader::places_by(const Clue& clue, const FoundVariables& found) {
  if (clue.field && !layout_.has(*clue.field)) return std::nullopt;
  const std::vector<Address>* references = references_of(clue.function);
  if (references == nullptr) return std::nullopt;
  if (!clue.before.empty()) {
    const auto next = found.find(clue.before);
    const auto at = next ? std::ranges::find(*references, *next) : references->end();
    const bool has_one = at != references->end() && at != references->begin();
    return has_one ? std::vector{*std::prev(at)} : std::vector<Address>{};
  }
  const uint64_t offset = (clue.field ? layout_.offset(*clue.field) : 0) + clue.plus;
  std::vector<Address> places;
  for (Address reference : *references) places.push_back(reference - offset);
  return places;
}

bool ClueReader::is_allowed(const VariableRule& rule, Address at) const {
  return at.is_aligned(rule.alignment) && is_in_place(module_, rule.place, at) &&
         std::ranges::any_of(variables_, [&](AddressRange range) { return range.contains(at); });
}

std::optional<std::vector<Address>> ClueReader::candidates(const VariableRule& rule, const FoundVariables& found) {
  std::optional<std::vector<Address>> candidates;
  for (const Clue& clue : rule.clues) {
    const auto places = places_by(clue, found);
    if (!places) continue;
    if (!candidates) {
      candidates.emplace();
      for (Address at : *places)
        if (is_allowed(rule, at) && std::ranges::find(*candidates, at) == candidates->end()) candidates->push_back(at);
    } else {
      std::erase_if(*candidates, [&](Address at) { return std::ranges::find(*places, at) == places->end(); });
    }
  }
  return candidates;
}

}  // namespace heapwalk::go
