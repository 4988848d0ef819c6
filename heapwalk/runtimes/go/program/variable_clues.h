// Where, by the machine code alone, a variable of the run-time may be: the first half of variable_search.h. It reads nothing of
// what the variables hold, and so works on a program's file as on a core.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "heapwalk/runtimes/go/program/variable_rules.h"

namespace heapwalk::go {

class ClueReader {
 public:
  ClueReader(const AddressSpace& memory, Architecture architecture, const Layout& layout, const ModuleData& module);

  // The places that all of a rule's clues allow, in the order of the first one's code; none where they do not agree. Null:
  // the program has none of the functions. `found`: variables that are known, for clues that ask for them.
  std::optional<std::vector<Address>> candidates(const VariableRule& rule, const FoundVariables& found);

  bool has_code() const { return has_code_; }  // of any function that was asked for

 private:
  struct Function {
    std::vector<AddressRange> code;
    std::vector<Address> references;
    bool is_read = false, has_code = false;
  };

  const std::vector<Address>* references_of(std::string_view function);
  void read(AddressRange code, Function& function);
  std::optional<std::vector<Address>> places_by(const Clue& clue, const FoundVariables& found);
  bool is_allowed(const VariableRule& rule, Address at) const;

  const AddressSpace& memory_;
  Architecture architecture_;
  const Layout& layout_;
  const ModuleData& module_;
  std::array<AddressRange, 4> variables_;
  std::unordered_map<std::string_view, Function> functions_;
  std::vector<std::byte> buffer_;
  bool has_code_ = false;
};

}  // namespace heapwalk::go
