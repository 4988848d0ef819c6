// Where references start: the places in the process that are not on the heap.
//
//     process ─┬─ module libfoo.so ─── variable ns::cache          [0x7f…10, 0x7f…48)   global
//              ├─ thread "worker-3" ─┬ variable tls_buffer                              tls
//              │                     ├ frame #4 handle_request ┬ words at sp+0x28       stack
//              │                     │                     ├ parameter req                  stack
//              │                     │                     └ local batch (in rbx)            register
//              │                     └ register rax                                     register
//              ├─ goroutine 42 [chan receive] ─── main.worker                             goroutine
//              └─ mapping 0x7f… (anonymous, 2 MB)                                       mapping
//
// A root is a *location* that may hold references, never the object it refers to. Owners form a tree above the roots
// and are nodes of the graph, so "retained by thread 7" falls out of the dominator tree.
//
// Laws (check()): an owner's parent has a smaller index; memory roots do not overlap; every name is valid UTF-8.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/address.h"
#include "dwarf/type_table.h"

namespace heapwalk {

enum class RootKind : uint8_t { global, tls, stack, register_, mapping, handle, goroutine };
std::string_view to_string(RootKind kind);  // as in cli.md: "register" without the underscore

enum class OwnerKind : uint8_t { module, thread, frame, mappings, goroutine, runtime };
std::string_view to_string(OwnerKind kind);

constexpr uint32_t kNoOwner = UINT32_MAX;  // owned by the process itself

struct Owner {
  OwnerKind kind = OwnerKind::module;
  uint32_t parent = kNoOwner;  // index of an owner
  std::string name;            // "libfoo.so.1", `thread 4711 "worker-3"`, "#4 handle_request(Request&)"
};

// Of several goroutines that were created at one place, behind which they stand.
bool is_group(const std::vector<Owner>& owners, uint32_t owner);

struct Root {
  RootKind kind = RootKind::global;
  uint32_t owner = kNoOwner;
  // For people: "ns::cache", "libfoo.so .bss+0x40", "rbx", "#4 handle_request" (what no variable covers of a frame),
  // `thread "worker-3" frame #4 handle_request(Request&) local batch`.
  std::string name;
  // Same from run to run, no address, no thread id: "ns::cache", "libfoo.so .bss", "handle_request(Request&) local batch".
  std::string stable_name;
  std::string source;     // "src/cache.cc:12", where the variable is declared; empty when unknown
  TypeId type = kNoType;  // of the variable
  AddressRange location;  // memory roots; empty for registers
  uint64_t value = 0;     // of roots without location: the content of the register or handle
  bool is_exact = false;  // of those: the run-time says that it is a pointer
  std::optional<int64_t> sp_offset_bytes = std::nullopt;  // of what no variable covers: where it begins in its frame
};

// A variable of a record type, or of an array of such. It need not refer to anything: pointers on the heap lead to it.
struct TypedVariable {
  Address address;
  TypeId type;
};

// An owner that waits, for as long as nobody uses one of these: a goroutine on its channels. None: for ever.
struct Waiting {
  uint32_t owner = 0;
  std::vector<Address> on;
};

struct RootSet {
  std::vector<Owner> owners;
  std::vector<Root> roots;
  std::vector<TypedVariable> variables;  // of all modules whose debug info was read; by address
  std::vector<Waiting> waiting;
  std::vector<Address> wait_records;  // objects that only list who waits: what they refer to is not thereby in use
  // Ranges that thread stacks, TLS blocks and module data occupy, for the accounting. Sorted, disjoint per kind.
  std::vector<AddressRange> stack_ranges;
  std::vector<AddressRange> tls_ranges;
  std::vector<AddressRange> module_ranges;

  // "libfoo.so", "thread 4711, #4 handle_request": the owner chain, outermost first.
  std::string owner_name(const Root& root) const;
  bool is_local(const Root& root) const;  // a variable of a frame
  bool check() const;
};

}  // namespace heapwalk
