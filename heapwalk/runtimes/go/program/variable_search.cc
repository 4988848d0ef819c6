#include "heapwalk/runtimes/go/program/variable_search.h"

#include <algorithm>

#include "heapwalk/runtimes/go/program/variable_clues.h"

namespace heapwalk::go {
namespace {

std::optional<Address> choose(const VariableRule& rule, const Evidence& evidence, std::span<const Address> candidates) {
  std::vector<Address> proved, left;
  bool all_empty = true;
  for (Address at : candidates) {
    const Verdict verdict = rule.proof(evidence, at);
    if (verdict == Verdict::no) continue;
    left.push_back(at);
    all_empty = all_empty && verdict == Verdict::empty;
    if (verdict == Verdict::proved) proved.push_back(at);
  }
  if (proved.empty()) proved = std::move(left);
  if (proved.empty() || (proved.size() > 1 && !all_empty)) return std::nullopt;
  return rule.leads_to != nullptr ? rule.leads_to(evidence, proved.front()) : proved.front();
}

}  // namespace

VariableSearch search_variables(const CoreDump& dump, const Process& process) {
  VariableSearch result;
  if (process.modules.empty()) return result;
  ClueReader clues(dump.memory, dump.process.architecture, process.layout, process.modules.front());
  for (const VariableRule& rule : variable_rules()) {
    if (!rule.is_of(process.layout.minor()) || result.found.find(rule.variable)) continue;
    const auto candidates = clues.candidates(rule, result.found);
    if (!candidates) continue;
    if (const auto at = choose(rule, {dump.memory, process, result.found}, *candidates))
      result.found.add(rule.variable, *at);
    else
      result.unknown.push_back(rule.variable);
  }
  std::erase_if(result.unknown, [&](std::string_view variable) { return result.found.find(variable).has_value(); });
  std::ranges::sort(result.unknown);
  result.unknown.erase(std::ranges::unique(result.unknown).begin(), result.unknown.end());
  result.has_code = clues.has_code();
  return result;
}

}  // namespace heapwalk::go
