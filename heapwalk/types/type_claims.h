// What a typed pointer says about the allocation that it leads to, and whether to believe it.
//
//     Session* s  ─►  the start of 56 bytes      a Session fits: a claim of strength `value`
//     std::string ─►  24 bytes, NUL at its length: the container checks out: `container`
//     list_head*  ─►  16 bytes into 56 bytes     no claim, but a hint: something that has a list_head there
//
// A judge only reads: the process, the objects, and what was claimed so far. Several may work at once.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/types/claim.h"
#include "heapwalk/types/element_use.h"
#include "heapwalk/types/object_types.h"

namespace heapwalk {

struct Source {  // a typed place whose pointers are followed
  const TypeLayout* layout;
  const std::byte* data;
  uint64_t size_bytes;
  bool is_array;
  const ElementUse* use = nullptr;  // of the elements, if not all are in use; then the data are those of an object
  uint64_t object_bytes = 0;        // … of this size …
  uint64_t header_bytes = 0;        // … and begin there
};

struct Extent {  // of the elements behind a container's pointer, in bytes
  uint64_t in_use = UINT64_MAX;
  uint64_t room = UINT64_MAX;
  uint64_t begin = 0;  // of the first one in use
  ElementUse::Form form = ElementUse::Form::leading;
  uint64_t zero_at = UINT64_MAX;  // an element that has to be zero
  uint64_t whole = UINT64_MAX;    // the allocation, elements and what the container keeps behind them
  Address control = Address{0};   // of the bytes before the elements that say which are in use: so many …
  uint64_t slots = 0;             // … of which the last may stand for no element
  uint64_t behind = 0;            // the first element is so many bytes behind where the pointer leads
};

struct Candidate {
  Address value;
  const PointerSlot* slot;
  Extent extent;
  PageDirectory::Place place;
};

struct Follower {  // one worker
  Found found;
  std::vector<Candidate> ahead;
  const Region* region = nullptr;
};

// What has been claimed so far.
struct ClaimState {
  ObjectTypes* types;
  std::vector<Strength> strengths = {Strength::none};  // by kind
  std::vector<const TypeLayout*> layouts;              // by type, as far as they were made

  Strength known_strength(uint32_t object) const { return strengths[types->kind_of_[object]]; }
  const TypeLayout* find_layout(TypeId type) const {
    return index(type) < layouts.size() ? layouts[index(type)] : nullptr;
  }
  const TypeLayout& make_layout(TypeId type);
  // With those of what its pointers lead to: workers look at them, and must not make any.
  const TypeLayout& make_layouts(TypeId type);
  // And of all that is a larger form of it.
  void make_forms(TypeId type);
};

class PointerJudge {
 public:
  // All are borrowed.
  PointerJudge(const CoreDump& dump, const ObjectIndex& objects, const ClaimState& state)
      : dump_(dump), objects_(objects), state_(state), types_(*state.types) {}

  void follow(const Source& source, Follower& follower) const;
  void judge_ahead(Follower& follower) const;
  std::optional<Claim> claim_of(const Candidate& candidate, std::vector<Hint>* hints) const;
  bool looks_like(const Claim& claim, Address start, uint64_t size_bytes) const;
  static Extent read_extent(const ElementRange& range, Address first, uint64_t each, const std::byte* data,
                            uint64_t size_bytes);
  static bool has_capacity(const TypeLayout& layout, const PointerSlot& slot);
  static bool is_null(const PointerSlot& slot, uint64_t word);

 private:
  static void add_trait_object(const ElementRange& range, Address value, const PointerSlot& slot, const std::byte* data,
                               uint64_t size_bytes, Found& found);
  bool move_to_first(Candidate& candidate) const;
  bool is_plausible(const Candidate& candidate, uint64_t each, uint64_t room) const;
  bool has_control_before(const Candidate& candidate, Address start, uint64_t each) const;
  static ElementUse use_of(const Candidate& candidate, Address start);
  TypeId form_for(TypeId target, uint64_t room) const;
  static Strength strength_of(const PointerSlot& slot, const Type& type, bool one, bool several);
  void judge(const Candidate& candidate, Found& found) const;
  bool has_vtable(Address object) const;
  bool goes_on(const Claim& claim) const;
  bool is_cookie(Address start, uint64_t header, uint64_t size_bytes, uint64_t each) const;
  bool agrees(const ElementRange& range, const PointerSlot& slot, Address first, Bytes container) const;
  bool may_lead_to(Address address, const PointerSlot& slot) const;
  bool is_text(Address start, uint64_t size_bytes) const;

  const CoreDump& dump_;
  const ObjectIndex& objects_;
  const ClaimState& state_;
  const ObjectTypes& types_;
};

}  // namespace heapwalk
