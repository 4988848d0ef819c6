// Stacks as the run-time keeps them, turned into the locations of a profile.
//
// A kept stack is a list of return addresses, innermost first. Calls that were inlined have no return address, and so get a
// made-up one each, the address after an instruction that marks them:
//
//     the program          the code              the list               the profile
//     main ─ f ─ g         main: … f … g ─ call  [ g+1, f+1, main+1 ]   one location of three lines
//
// Some lists have only the innermost of these (blocking is recorded from frame pointers since Go 1.23), and any list may be cut
// in the middle of a location: what is missing is filled in from the table of inlined calls. Wrappers that the compiler
// made are left out, as in tracebacks.
//
// Source: Go 1.19 … 1.27 runtime/symtab.go (Frames.Next, runtime_expandFinalInlineFrame), runtime/pprof/proto.go
// (appendLocsForStack, pcDeck).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "heapwalk/own_profile.h"
#include "heapwalk/runtimes/go/program/pclntab.h"

namespace heapwalk::go {

struct StackRules {
  size_t limit = SIZE_MAX;  // return addresses at most, made-up ones included; the last location is whole all the same
  bool drops_unknown = false;  // what is no Go code is left out
};

class CallStacks {
 public:
  // Both are borrowed; functions and locations are added to the profile.
  CallStacks(const Functions& functions, OwnProfile& profile) : functions_(functions), profile_(profile) {}

  // The locations of a stack, innermost first.
  std::vector<uint32_t> locations(std::span<const uint64_t> stack, const StackRules& rules = {});

  // What the run-time says to be running at a return address: of inlined functions the innermost. Empty: no Go code.
  std::string_view function_at(uint64_t return_address);

 private:
  struct Call {  // one logical frame
    uint64_t return_address = 0;
    OwnProfile::Line line;
    FunctionKind kind = FunctionKind::normal;
    bool ends_stack = false;  // runtime.goexit: not shown
  };
  const std::vector<Call>& calls_at(uint64_t return_address);
  uint32_t function(const LogicalFrame& frame);
  uint32_t location(Address address, std::vector<OwnProfile::Line> lines);

  const Functions& functions_;
  OwnProfile& profile_;
  std::unordered_map<uint64_t, std::vector<Call>> calls_;
  std::unordered_map<uint64_t, std::string_view> names_;
  std::map<std::tuple<std::string_view, std::string_view, uint32_t>, uint32_t> known_functions_;
  std::map<std::pair<Address, std::vector<std::pair<uint32_t, uint32_t>>>, uint32_t> known_locations_;
  std::vector<LogicalFrame> frames_;
};

}  // namespace heapwalk::go
