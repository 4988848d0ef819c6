#include "heapwalk/runtimes/go/variable_search.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "heapwalk/runtimes/go/code_references.h"
#include "heapwalk/runtimes/go/pclntab.h"
#include "heapwalk/runtimes/go/variable_rules.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxCodeBytes = 1 << 20;  // of one function

// The code of functions by name, and what it refers to.
class References {
 public:
  References(const CoreDump& dump, const Process& process, std::span<const VariableRule> rules)
      : memory_(dump.memory), architecture_(dump.process.architecture) {
    const ModuleData& module = process.modules.front();
    variables_ = {module.data.range, module.bss.range, module.noptrdata, module.noptrbss};
    for (const VariableRule& rule : rules)
      for (const Clue& clue : rule.clues) functions_[clue.function];
    const auto table = LineTable::read(memory_, process.layout, module);
    for (size_t i = 0; table && i < table->size(); ++i) {
      const auto function = table->at(i);
      const auto wanted = function ? functions_.find(function->name) : functions_.end();
      // Assembly calls some functions by a wrapper of the same name.
      if (wanted != functions_.end()) wanted->second.code.push_back(function->code);
    }
  }

  // In the order of the code; null: the program has no such function, or its code is not in the core.
  const std::vector<Address>* of(std::string_view name) {
    Function& function = functions_.at(name);
    if (!function.is_read) {
      function.is_read = true;
      for (AddressRange code : function.code) read(code, function);
    }
    return function.has_code ? &function.references : nullptr;
  }

  bool has_code() const { return has_code_; }

 private:
  struct Function {
    std::vector<AddressRange> code;
    std::vector<Address> references;
    bool is_read = false, has_code = false;
  };

  void read(AddressRange code, Function& function) {
    const uint64_t size = std::min(code.size_bytes(), kMaxCodeBytes);
    Bytes bytes = memory_.read_exactly(code.begin, size);
    if (bytes.empty()) {
      buffer_.resize(size);
      if (!memory_.copy(code.begin, buffer_)) return;
      bytes = buffer_;
    }
    const auto found = code_references(bytes, code.begin, architecture_, variables_);
    function.references.insert(function.references.end(), found.begin(), found.end());
    function.has_code = has_code_ = true;
  }

  const AddressSpace& memory_;
  Architecture architecture_;
  std::array<AddressRange, 4> variables_;
  std::unordered_map<std::string_view, Function> functions_;
  std::vector<std::byte> buffer_;
  bool has_code_ = false;
};

bool is_in_place(const ModuleData& module, Place place, Address at) {
  const bool is_plain = module.noptrdata.contains(at) || module.noptrbss.contains(at);
  switch (place) {
    case Place::anywhere:
      return true;
    case Place::plain:
      return is_plain;
    case Place::mixed:
      return !is_plain;
    case Place::pointer:
      break;
  }
  if (is_plain) return false;
  const MaskedRange& masked = module.data.range.contains(at) ? module.data : module.bss;
  return masked.mask.empty() || masked.is_pointer((at - masked.range.begin) / 8);
}

class Search {
 public:
  Search(const CoreDump& dump, const Process& process)
      : evidence_{dump.memory, process}, references_(dump, process, variable_rules()) {}

  VariableSearch run() && {
    const int minor = evidence_.process.layout.minor();
    for (const VariableRule& rule : variable_rules()) {
      if (minor < rule.first_minor || (minor > rule.last_minor && rule.last_minor < kLastMinor)) continue;
      const auto candidates = candidates_of(rule);
      if (!candidates) continue;
      if (const auto at = choose(rule, *candidates))
        evidence_.found.emplace_back(rule.variable, *at);
      else
        result_.unknown.push_back(rule.variable);
    }
    result_.found = std::move(evidence_.found);
    result_.has_code = references_.has_code();
    return std::move(result_);
  }

 private:
  // Where a variable may begin, by one clue. Null: the clue says nothing about this program.
  std::optional<std::vector<Address>> places_by(const Clue& clue) {
    const Layout& layout = evidence_.process.layout;
    if (clue.field && !layout.has(*clue.field)) return std::nullopt;
    const std::vector<Address>* references = references_.of(clue.function);
    if (references == nullptr) return std::nullopt;
    if (!clue.before.empty()) {
      const auto next = evidence_.known(clue.before);
      const auto at = next ? std::ranges::find(*references, *next) : references->end();
      const bool has_one = at != references->end() && at != references->begin();
      return has_one ? std::vector{*std::prev(at)} : std::vector<Address>{};
    }
    const uint64_t offset = (clue.field ? layout.offset(*clue.field) : 0) + clue.plus;
    std::vector<Address> places;
    for (Address reference : *references) places.push_back(reference - offset);
    return places;
  }

  // What all clues agree on, in the order of the first one's code. Null: no clue says anything.
  std::optional<std::vector<Address>> candidates_of(const VariableRule& rule) {
    std::optional<std::vector<Address>> candidates;
    for (const Clue& clue : rule.clues) {
      const auto places = places_by(clue);
      if (!places) continue;
      if (!candidates) {
        candidates.emplace();
        for (Address at : *places)
          if (is_allowed(rule, at) && std::ranges::find(*candidates, at) == candidates->end())
            candidates->push_back(at);
      } else {
        std::erase_if(*candidates, [&](Address at) { return std::ranges::find(*places, at) == places->end(); });
      }
    }
    return candidates;
  }

  bool is_allowed(const VariableRule& rule, Address at) const {
    const ModuleData& module = evidence_.process.modules.front();
    const bool is_variable = module.data.range.contains(at) || module.bss.range.contains(at) ||
                             module.noptrdata.contains(at) || module.noptrbss.contains(at);
    return is_variable && at.is_aligned(rule.alignment) && is_in_place(module, rule.place, at);
  }

  std::optional<Address> choose(const VariableRule& rule, const std::vector<Address>& candidates) const {
    std::vector<Address> proved, left;
    bool all_empty = true;
    for (Address at : candidates) {
      const Verdict verdict = rule.proof(evidence_, at);
      if (verdict == Verdict::no) continue;
      left.push_back(at);
      all_empty = all_empty && verdict == Verdict::empty;
      if (verdict == Verdict::proved) proved.push_back(at);
    }
    if (proved.empty()) proved = std::move(left);
    if (proved.empty() || (proved.size() > 1 && !all_empty)) return std::nullopt;
    return rule.leads_to != nullptr ? rule.leads_to(evidence_, proved.front()) : proved.front();
  }

  Evidence evidence_;
  References references_;
  VariableSearch result_;
};

}  // namespace

VariableSearch search_variables(const CoreDump& dump, const Process& process) {
  if (process.modules.empty()) return {};
  return Search(dump, process).run();
}

}  // namespace heapwalk::go
