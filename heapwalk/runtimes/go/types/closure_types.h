// The types of closures: the address of their code says which function's they are.
//
//     func main.serve.func1    { F uintptr; X0 *main.node; … }
//
// What was captured, and under which names, the debug info knows from Go 1.23 on; the code that makes the closure shows
// its type in all releases (closure_structs.h). Of what neither knows, the name is all.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "heapwalk/runtimes/go/program/pclntab.h"
#include "heapwalk/runtimes/go/stacks/captured_variables.h"
#include "heapwalk/runtimes/go/types/go_types.h"

namespace heapwalk::go {

class ClosureTypes {
 public:
  // All outlive this. `described`, what the debug info says, may be null; `structs`: match_closure_structs().
  ClosureTypes(GoTypes& types, const Functions& functions, const CapturedVariables* described,
               std::unordered_map<Address, Address> structs)
      : types_(&types), functions_(&functions), described_(described), structs_(std::move(structs)) {}

  // The record of a closure of the function with that entry; kNoType if there is none. Where nothing is known of what is
  // captured, it is as large as the room.
  TypeId type_of(Address entry, uint64_t room_bytes);
  // What type_of() has said, if it was asked. Thread-safe while it is not called.
  std::optional<TypeId> find(Address entry) const {
    const auto known = known_.find(entry);
    return known == known_.end() ? std::nullopt : std::optional(known->second);
  }
  const std::unordered_map<Address, Address>& structs() const { return structs_; }

 private:
  TypeId make(Address entry, uint64_t room_bytes);
  void name_by_source(Address entry, std::vector<heapwalk::Field>& fields) const;

  GoTypes* types_;
  const Functions* functions_;
  const CapturedVariables* described_;
  std::unordered_map<Address, Address> structs_;
  std::unordered_map<Address, TypeId> known_;
};

}  // namespace heapwalk::go
