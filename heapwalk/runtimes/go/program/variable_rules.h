// Which functions refer to which variable of Go's run-time: the data of variable_search.h. A variable that another release
// reaches from other functions gets another row; to look for a new variable is a row here, and a proof.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "heapwalk/runtimes/go/program/variable_proofs.h"

namespace heapwalk::go {

// The function refers to the variable + the field's offset + `plus`. Functions that a program does not have, and fields that
// its release does not have, say nothing.
struct Clue {
  std::string_view function;
  std::optional<Field> field = {};
  uint32_t plus = 0;
  std::string_view before = {};  // the variable is what the function's code names right before this other one
};

// Which part of the data holds it: the linker sorts variables by whether the collector finds pointers in them.
enum class Place : uint8_t {
  plain,     // none
  mixed,     // some
  pointer,   // it begins with one
  anywhere,  // but not in a pointer: the linker may have set it, which moves it
};

struct VariableRule {
  std::string_view variable;
  int first_minor, last_minor;  // releases; the newest that is known stands for all that follow
  Place place;
  uint32_t alignment;  // in bytes
  std::span<const Clue> clues;
  Proof proof;
  std::optional<Address> (*leads_to)(const Evidence&, Address) = nullptr;  // the variable, from what the clues find

  bool is_of(int minor) const { return minor >= first_minor && (minor <= last_minor || last_minor == kLastMinor); }
};

// In the order in which they are looked for: proofs ask for what was found before. Of several rows for a variable the first
// one that finds it counts.
std::span<const VariableRule> variable_rules();

}  // namespace heapwalk::go
