// The types of closures: no descriptor describes them, but the address of their code says which function's they are.
//
//     func main.serve.func1    { F uintptr; … }            what it captured: the debug info knows, from Go 1.23 on
//     main.(*Server).Close-fm  { F uintptr; R *Server }    a method with its receiver
//
// Source: Go 1.19 … 1.27 cmd/compile/internal/typecheck (ClosureType, MethodValueType).
#pragma once

#include <functional>
#include <string>
#include <unordered_map>

#include "heapwalk/runtimes/go/go_types.h"
#include "heapwalk/runtimes/go/pclntab.h"

namespace heapwalk::go {

class ClosureTypes {
 public:
  // All outlive this. `described` may be empty.
  ClosureTypes(GoTypes& types, const Functions& functions, const std::function<TypeId(Address)>& described)
      : types_(&types), functions_(&functions), described_(&described) {}

  // The record of a closure of the function at that address, in a slot with so much room; kNoType if there is no function.
  TypeId type_of(Address code, uint64_t room_bytes);

 private:
  TypeId make(Address code, uint64_t room_bytes);
  TypeId receiver_of(std::string_view method) const;

  GoTypes* types_;
  const Functions* functions_;
  const std::function<TypeId(Address)>* described_;
  std::unordered_map<Address, TypeId> known_;
};

}  // namespace heapwalk::go
