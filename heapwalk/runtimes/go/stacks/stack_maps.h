// Which words of a stack frame are live pointers, by the compiler's maps for the collector.
//
//     continuation pc − 1 ─ PCDATA_StackMapIndex ─► i
//     FUNCDATA_LocalsPointerMaps[i]     n bits, the last of them the word below varp
//     FUNCDATA_ArgsPointerMaps[i]       n bits, the first of them the word at argp
//     FUNCDATA_StackObjects             variables whose address was taken: {offset, size, pointer mask}
//
// At a function's entry, and where no index is given, the first map holds. A variable whose address was taken is in the
// maps no longer than its name is used: after that it lives as long as a pointer to it does (stack_scan.h). Two functions
// of package reflect, through which made functions and method values are called, have no map of their own: theirs depends on
// what is called, and is found from the word at the bottom of their frame.
//
// Source: Go 1.19 … 1.27 runtime/stkframe.go, runtime/stack.go (getStackMap, stackObjectRecord), runtime/traceback.go (getArgInfo),
// internal/abi/abi.go (RegArgs), reflect/asm_amd64.s.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "heapwalk/runtimes/go/program/process.h"
#include "heapwalk/runtimes/go/stacks/stack_walk.h"

namespace heapwalk::go {

struct StackBits {
  Bytes bits;
  uint32_t count = 0;  // bits.size() * 8 >= count

  bool operator[](uint32_t i) const { return (static_cast<uint8_t>(bits[i / 8]) >> i % 8 & 1) != 0; }
};

// A variable in a frame whose address was taken.
struct StackObject {
  int32_t offset = 0;  // from varp if negative, else from argp
  uint32_t size_bytes = 0;
  uint32_t pointer_bytes = 0;  // only the first so many hold pointers
  Address mask;                // one bit per word …
  bool is_program = false;     // … or a program that writes them (mask_program.h)
  Bytes borrowed_mask;         // where it is no data of the process
};

struct FrameMaps {
  StackBits locals;     // ends at varp
  StackBits arguments;  // begins at argp
  // The compiler should have left a map and none is there: any word may be a pointer.
  bool locals_unknown = false, arguments_unknown = false;
  const std::vector<StackObject>* objects = nullptr;  // by offset; null: none. Owned by StackMaps
};

class StackMaps {
 public:
  StackMaps(const CoreDump& dump, const Process& process);

  // Empty for a frame that never goes on.
  FrameMaps of(const Frame& frame);
  // Bytes from argp on that belong to the frame's arguments and results.
  uint64_t argument_bytes(const Frame& frame) const;

 private:
  struct CodeMaps {
    int32_t index = 0;
    FrameMaps maps;
  };
  CodeMaps read(const Function& function, Address continuation);
  bool read_bits(Address map, int32_t index, StackBits& bits) const;
  const std::vector<StackObject>* objects_of(const Function& function);
  // The arguments of a call through reflect; null where the frame is none.
  std::optional<StackBits> reflect_arguments(const Frame& frame) const;

  const AddressSpace& memory_;
  const Process& process_;
  const bool is_arm64_;
  std::unordered_map<uint64_t, CodeMaps> by_pc_;
  std::unordered_map<uint64_t, std::vector<StackObject>> by_entry_;
  std::vector<StackObject> reflect_objects_;
  std::vector<std::byte> reflect_mask_;
};

}  // namespace heapwalk::go
