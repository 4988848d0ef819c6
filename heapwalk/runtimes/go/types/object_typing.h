// What the objects on Go's heap are: what the run-time notes of some, and what typed values say about all they lead to.
//
//     headers, large objects: their types ─┐
//     package variables, locals, notes     ├─► typed values ─► places that lead on (walk_plan.h) ─► claims ─┐
//                                          └───────────────── objects with a better claim than before ◄──┘
//
// Best claims first:
//     noted      the run-time wrote the type beside the object
//     dynamic    an interface, a channel, or a closure's code says what is behind the word beside it
//     counted    a container says how many elements there are, and a slot for just so many is there
//     exact      a pointer to the start of a slot for just one value, whose pointers are where the collector has them
//     fitting    the collector's pointers are those of several such values
//     paired     in memory without a type: a word that is a type's or itab's address, and a pointer behind it; or the only type
//                that has, where a pointer leads into the object, what the pointer says
// An object is walked again when a better claim comes, so at most once per strength. A claim has to fit: the value's slot has
// to be the one that the allocator has for its size, and its pointers those that the collector sees, or else it is a cast.
//
// Source: Go 1.19 … 1.27 runtime/malloc.go (mallocgc), iface.go (eface, iface), chan.go (makechan), map.go (makemap),
// internal/runtime/maps (Map, table), sync/pool.go (indexLocal), reflect/value.go (Value).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "heapwalk/object_index.h"
#include "heapwalk/root_set.h"
#include "heapwalk/runtimes/go/heap/heap.h"
#include "heapwalk/runtimes/go/heap/specials.h"
#include "heapwalk/runtimes/go/program/pclntab.h"
#include "heapwalk/runtimes/go/stacks/captured_variables.h"
#include "heapwalk/runtimes/go/types/go_types.h"
#include "heapwalk/types/object_types.h"

namespace heapwalk::go {

enum class Strength : uint8_t { noted, dynamic, counted, exact, fitting, paired, none };
constexpr size_t kStrengths = 7;
TypeEvidence evidence_of(Strength strength);

// How a type fills a slot; shared by all objects that are alike.
struct ObjectKind {
  TypeId element = kNoType;
  bool is_array = false;     // as many as there is room for
  bool has_tail = false;     // a channel's elements lie behind it
  uint8_t header_bytes = 0;  // of the slot, before the first element
  Strength strength = Strength::none;
};

struct ObjectTyping {
  std::vector<ObjectKind> kinds = std::vector<ObjectKind>(1);  // kinds[0]: nothing is known
  std::vector<uint16_t> kind_of;                               // by ObjectId; 0 of objects of other allocators too
  std::array<uint64_t, kStrengths> objects{}, bytes{};         // by strength; `none`: Go's objects without a type
  uint64_t conflicts = 0;                                      // claims of one strength that did not agree
};

struct TypingInputs {
  const CoreDump& dump;
  const Heap& heap;
  const ObjectIndex& objects;
  const RootSet& roots;
  const Functions& functions;
  std::span<const Special> specials = {};
  std::span<const Address> pointer_words =
      {};  // outside of the heap, that lead into it; sorted (ManagedHeap::exact_words)
  const CapturedVariables* captured = nullptr;  // what the debug info says of closures; null: nothing
  size_t threads = 1;
};

// Adds what it comes upon to `types`: objects of types that the program does not list, closures. The result does not depend on
// the number of threads.
ObjectTyping type_objects(const TypingInputs& inputs, GoTypes& types, Diagnostics& diagnostics);

}  // namespace heapwalk::go
