#include "heapwalk/runtimes/go/stacks/call_stacks.h"

namespace heapwalk::go {

uint32_t CallStacks::function(const LogicalFrame& frame) {
  const auto [known, is_new] =
      known_functions_.try_emplace({frame.function, frame.file, frame.start_line}, profile_.functions.size());
  if (is_new) profile_.functions.push_back({std::string(frame.function), std::string(frame.file), frame.start_line});
  return known->second;
}

// The frames at a return address, innermost first; empty where no Go function is.
const std::vector<CallStacks::Call>& CallStacks::calls_at(uint64_t return_address) {
  const auto [known, is_new] = calls_.try_emplace(return_address);
  if (!is_new) return known->second;
  const auto found = functions_.find(Address{return_address});
  if (!found) return known->second;
  const Address call{return_address > found->entry().value ? return_address - 1 : return_address};
  frames_.clear();
  found->table->logical_frames(*found, call, frames_);
  for (const LogicalFrame& frame : frames_)
    known->second.push_back({frame.call_pc.value + 1,
                             {function(frame), frame.line},
                             frame.kind,
                             frame.kind == FunctionKind::goexit && !frame.inlined});
  return known->second;
}

uint32_t CallStacks::location(Address address, std::vector<OwnProfile::Line> lines) {
  std::vector<std::pair<uint32_t, uint32_t>> key;
  key.reserve(lines.size());
  for (const OwnProfile::Line& line : lines) key.emplace_back(line.function, line.line);
  const auto [known, is_new] = known_locations_.try_emplace({address, std::move(key)}, profile_.locations.size());
  if (is_new) profile_.locations.push_back({address, std::move(lines)});
  return known->second;
}

std::vector<uint32_t> CallStacks::locations(std::span<const uint64_t> stack, const StackRules& rules) {
  std::vector<uint32_t> result;
  size_t taken = 0;
  for (size_t at = 0; at < stack.size() && taken < rules.limit;) {
    const uint64_t return_address = stack[at++];
    const std::vector<Call>& calls = calls_at(return_address);
    if (calls.empty() && rules.drops_unknown) continue;
    ++taken;
    if (calls.empty()) {
      result.push_back(location(Address{return_address - 1}, {}));
      continue;
    }
    if (calls.front().ends_stack) continue;
    std::vector<OwnProfile::Line> lines{calls.front().line};
    for (size_t outer = 1; outer < calls.size(); ++outer) {
      const bool is_listed = at < stack.size() && stack[at] == calls[outer].return_address;
      if (is_listed)
        ++at;
      else if (is_hidden_wrapper(calls[outer].kind, calls[outer - 1].kind))
        continue;
      ++taken;
      lines.push_back(calls[outer].line);
    }
    result.push_back(location(Address{calls.front().return_address - 1}, std::move(lines)));
  }
  return result;
}

std::string_view CallStacks::function_at(uint64_t return_address) {
  const auto [known, is_new] = names_.try_emplace(return_address);
  if (!is_new) return known->second;
  frames_.clear();
  functions_.logical_frames(Address{return_address}, frames_);
  if (!frames_.empty()) known->second = frames_.front().function;
  return known->second;
}

}  // namespace heapwalk::go
