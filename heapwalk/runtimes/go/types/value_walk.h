// Reads a value of a known type and lists what it leads to.
//
//     bytes of a Session ─► { 0xc000123000, one Session }, { 0xc000456000, 3 of room for 4 Items }, { 0x4b0010, text } …
//
// Nothing of what is listed is checked yet, but for the words that say so themselves: an interface's type, a channel's.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "heapwalk/runtimes/go/types/go_types.h"
#include "heapwalk/runtimes/go/types/walk_plan.h"

namespace heapwalk::go {

struct Lead {
  enum class How : uint8_t {
    value,         // a pointer to one value, or to one of several
    slice,         // to the first of `count` values that there is room for
    text,          // to `count` bytes
    counted,       // to `count` values of a container's
    at_least,      // … or more
    dynamic,       // to one value of what the word beside it says
    elements,      // to `count` elements of a channel
    closure,       // to a word that is the address of code
    made_closure,  // what lies there begins like a closure
    unknown,       // an interface whose type was not met yet: `other` is the address of its itab or type
  };
  Address value;
  TypeId type = kNoType;
  How how = How::value;
  bool is_itab = false;   // unknown: what `other` is
  bool is_guess = false;  // the value that it comes from was guessed: it cannot be better
  uint64_t count = 1;
  Address other = {};
};

// The types behind the first words of interfaces, as far as they were met.
class DynamicTypes {
 public:
  DynamicTypes(const AddressSpace& memory, const Layout& layout, GoTypes& types)
      : memory_(&memory), layout_(&layout), types_(&types) {}

  struct Dynamic {
    TypeId type = kNoType;
    const WalkPlan* plan = nullptr;
    bool is_direct = false;  // the second word is the value
  };
  // Thread-safe while add() is not called. Null: not met.
  const Dynamic* find(Address word, bool is_itab) const {
    const auto& known = is_itab ? itabs_ : types_by_address_;
    auto at = known.find(word);
    return at == known.end() ? nullptr : &at->second;
  }
  // Of what is there; without a type where nothing is.
  const Dynamic& add(Address word, bool is_itab, WalkPlans& plans);

 private:
  const AddressSpace* memory_;
  const Layout* layout_;
  GoTypes* types_;
  std::unordered_map<Address, Dynamic> types_by_address_, itabs_;
};

class ValueWalk {
 public:
  // All outlive this. `plans` and `dynamic` are not changed.
  ValueWalk(const AddressSpace& memory, const Layout& layout, const GoTypes& types, const WalkPlans& plans,
            const DynamicTypes& dynamic)
      : memory_(&memory), layout_(&layout), types_(&types), plans_(&plans), dynamic_(&dynamic) {}

  // Appends what a value leads to. `bytes`: of the value, at `at`, as many as are known of it.
  void walk(const WalkPlan& plan, Address at, Bytes bytes, std::vector<Lead>& leads) const {
    walk(plan, at, bytes, leads, 0);
  }
  // The second word of an interface: it is the value, or leads to it.
  void follow(const DynamicTypes::Dynamic& dynamic, Address word, bool is_direct, std::vector<Lead>& leads) const;

 private:
  void walk(const WalkPlan& plan, Address at, Bytes bytes, std::vector<Lead>& leads, int depth) const;
  void place(const WalkPlace& place, Address at, Bytes bytes, std::vector<Lead>& leads, int depth) const;
  void interface(Bytes words, bool is_itab, std::vector<Lead>& leads) const;
  void reflect_value(Bytes words, std::vector<Lead>& leads) const;
  void swiss_map(const WalkPlace& place, Bytes record, std::vector<Lead>& leads) const;
  void classic_map(const WalkPlace& place, Bytes record, std::vector<Lead>& leads) const;
  void channel(const WalkPlace& place, Address at, Bytes record, std::vector<Lead>& leads) const;
  void pool(const WalkPlace& place, Bytes record, std::vector<Lead>& leads) const;
  uint64_t number(Bytes record, Field field) const;

  const AddressSpace* memory_;
  const Layout* layout_;
  const GoTypes* types_;
  const WalkPlans* plans_;
  const DynamicTypes* dynamic_;
};

}  // namespace heapwalk::go
