// What to look at in a value of a type, worked out once: a flat list of places that lead on.
//
//     type Session struct {        +8   pointer   Session
//       id    int                  +16  string
//       next  *Session             +32  slice     []Item: elements of Item
//       name  string               +56  interface
//       items []Item
//       err   error
//     }
//
// Nested structs lie flat; short arrays do too, long ones are one place with a plan of their own. Records that mean more than
// their fields (type_forms.h) have a place of their own kind.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "dwarf/type_table.h"
#include "heapwalk/runtimes/go/heap/pointer_mask.h"
#include "heapwalk/runtimes/go/types/go_types.h"

namespace heapwalk::go {

enum class Verb : uint8_t {
  pointer,  // to a value of `target`
  slice,    // of `target`
  string,
  interface,        // the first word leads to an itab …
  empty_interface,  // … or to the type itself
  reflect_value,    // the same, and whether the second word is the value or leads to it
  closure,
  swiss_map,    // `target`: a group; `other`: the pointer to a table
  swiss_table,  // a group
  classic_map,  // a bucket; `other`: what a map keeps beside its buckets
  channel,      // an element, unless the channel itself says what
  pool,         // `target`: of one processor
  repeat,       // `count` elements of `target`, `stride` bytes apart
};

struct WalkPlace {
  uint64_t offset_bytes = 0;
  Verb verb = Verb::pointer;
  TypeId target = kNoType, other = kNoType;
  uint64_t count = 0, stride = 0;
};

struct WalkPlan {
  uint64_t size_bytes = 0;
  bool has_pointers = false;
  bool is_mask_known = false;  // of the first 64 words; not of what only debug info describes and is no record of Go's
  uint64_t mask = 0;           // of the first 64 words, bit i: the word at 8·i is a pointer to the collector
  uint64_t tiled_mask = 0;     // of 64 words of values one behind the other
  GoForm form = GoForm::none;
  bool is_generic =
      false;  // the run-time's own view of maps and channels, without what they hold: any other one is better
  TypeId inner = kNoType, entry = kNoType;  // of a trie's node: what it really is, as the byte at `entry_offset` says
  uint64_t entry_offset = 0;
  TypeId stand_in = kNoType;  // time.Timer and time.Ticker are the beginning of what they say nothing of
  std::vector<WalkPlace> places;
};

class WalkPlans {
 public:
  // Both outlive this.
  WalkPlans(GoTypes& types, PointerMasks& masks) : types_(&types), masks_(&masks) {}

  // Worked out once, with those of all that it leads to; the plan stays where it is. Not thread-safe.
  const WalkPlan& of(TypeId type);
  // If it was worked out. Thread-safe while of() is not called.
  const WalkPlan* find(TypeId type) const { return index(type) < plans_.size() ? plans_[index(type)] : nullptr; }

 private:
  const WalkPlan& make(TypeId type);
  void add(WalkPlan& plan, TypeId type, uint64_t offset_bytes, int depth);
  void add_record(WalkPlan& plan, TypeId type, uint64_t offset_bytes, int depth);
  void add_array(WalkPlan& plan, TypeId type, uint64_t offset_bytes, int depth);
  void add_trie_node(WalkPlan& plan, TypeId type);
  void set_mask(WalkPlan& plan, TypeId type);

  GoTypes* types_;
  PointerMasks* masks_;
  std::vector<const WalkPlan*> plans_;  // by type
  std::deque<WalkPlan> storage_;
  std::vector<TypeId> targets_;  // of plans that were made, to be worked out yet
};

}  // namespace heapwalk::go
