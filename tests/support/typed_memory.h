// A process of a few typed variables and allocations, for what decides the types of objects.
//
//     TypedMemory memory;
//     TypeId session = memory.record("Session", 56, {{"next", memory.pointer(kNoType), 8}});
//     uint64_t first = memory.allocate(56);                                     // usable bytes, zero
//     memory.put(memory.variable("head", memory.pointer(session)), {first});
//     auto process = memory.infer();                                            // process->name_at(first) is "Session"
//
// Allocations lie one behind the other as malloc lays them, variables in a module's data. Both are 64 KiB.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/object_index.h"
#include "heapwalk/root_set.h"
#include "heapwalk/types/object_types.h"

namespace heapwalk::test {

struct TypedProcess {
  CoreDump dump;
  ObjectIndex objects;
  RootSet roots;
  Diagnostics diagnostics;
  std::unique_ptr<const ObjectTypes> types;

  std::string name_at(uint64_t address) const;  // "Session", "[48 B]"
  TypeEvidence evidence_at(uint64_t address) const;
};

class TypedMemory {
 public:
  static constexpr uint64_t kNowhere = 0x7777'0000'0000;  // not mapped

  struct Member {
    std::string_view name;
    TypeId type;
    uint64_t offset_bytes;
  };
  TypeId record(std::string_view name, uint64_t size_bytes, const std::vector<Member>& members,
                std::vector<TypeId> arguments = {});
  TypeId pointer(TypeId target) { return types.pointer_to(target); }

  uint64_t allocate(uint64_t size_bytes);
  uint64_t variable(std::string_view name, TypeId type);  // a global; a record or an array of such may be led to, too
  void put(uint64_t at, std::initializer_list<uint64_t> words);

  // Once: types and bytes go into the process.
  std::unique_ptr<const TypedProcess> infer();

  TypeTableBuilder types;
  TypeId long_ = types.base("long", 8, BaseEncoding::signed_integer);

 private:
  static constexpr uint64_t kHeap = 0x10000000, kData = 0x600000, kBytes = 64 << 10;
  struct Block {
    uint64_t address, size_bytes;
  };
  std::vector<Block> blocks_;
  RootSet roots_;
  uint64_t data_end_ = kData;
  std::vector<std::byte> heap_ = std::vector<std::byte>(kBytes), data_ = std::vector<std::byte>(kBytes);
};

}  // namespace heapwalk::test
