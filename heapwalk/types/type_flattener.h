// The maker of layouts (type_layout.h): walks a type's records, arrays and unions, and notes what each word is.
//
//     lay ─┬─ pointer, array, number                               type_flattener.cc
//          ├─ record ── of a container? what its row says          type_flattener_containers.cc
//          └─ union ─── which member, if anything tells            type_flattener_unions.cc
//
// A place is where the walk stands: a type at an offset, and what is known of the container, the optional, the union around
// it. Debug info is not to be trusted: steps and depth are bounded, and what goes beyond is conservative.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "heapwalk/types/member_path.h"
#include "heapwalk/types/type_layout.h"

namespace heapwalk {

class TypeFlattener {
 public:
  TypeFlattener(const TypeTable& types, const Containers& containers) : types_(types), containers_(containers) {}

  TypeLayout run(TypeId type);

 private:
  struct Place {
    TypeId type = kNoType;
    uint64_t offset = 0;
    const ContainerRule* rule = nullptr;  // of the container around
    TypeId container = kNoType;
    TypeId shown = kNoType;  // the library's record around, if this is its implementation
    uint64_t container_offset = 0;
    TypeId element = kNoType;                   // of the container around, if its row says by which argument …
    uint64_t first_offset = UINT64_MAX;         // … and where the pointer to them is
    bool weak = false;                          // in a union whose members disagree
    uint16_t guard = PointerSlot::kNone;        // of the optional or variant around
    uint16_t outer_guard = PointerSlot::kNone;  // of the container around
    uint16_t tag = PointerSlot::kNone;          // of the union around
    int alternative = -1;                       // of the variant around, as far as it is counted; -1: none
    Member choice = {};                         // its number of the alternative in use
  };

  TypeLayout all_conservative() const;
  void mark(const Place& place, uint64_t size_bytes, EdgeKind kind);
  void mark_guarded(const Place& place, uint64_t size_bytes, EdgeKind kind);
  void lay(Place place, int depth);
  static EdgeKind kind_of(const Type& base);
  void lay_pointer(const Place& place, const Type& type);
  void lay_array(const Place& place, const Type& type, int depth);
  std::optional<Member> filled_count(const Place& array) const;
  void guard_element(Place& part, const Member& count, uint64_t i);
  void guard(Place& place, uint64_t number_offset, uint64_t number_bytes, Guard guard);
  void lay_record(const Place& place, int depth);
  bool has_open_end(TypeId id) const;
  void lay_field(const Place& record, const Field& field, int depth);
  void collect_kinds();

  // Containers.
  void enter_container(Place& place, const ContainerRule& rule);
  static bool is_own(const PointerSlot& slot, const Place& container);
  void find_element_range(const Place& place, const ContainerRule& rule, size_t first_slot);
  void forget_control(const Place& place, const ContainerRule& rule, size_t first_slot);
  TypeId shown_of(const Place& record, const Field& field) const;
  void describe_node(TypeId type);
  void add_container(const Place& place, const ContainerRule& rule, size_t first_slot);
  void link_to_buckets(ContainerPlace& found, size_t first_slot) const;
  void add_range(const Place& container, uint64_t pointer_offset, size_t first_slot, const ElementRange& range);
  bool lay_inside(const Place& container, uint64_t offset, int depth);
  void guard_inside(Place& place, const Place& container, uint64_t elements, bool inside);
  void add_guard(const ContainerRule& rule, Place& place);
  void erase_readings(const Place& place, uint32_t offset, size_t first_slot);

  // Unions and variants.
  void add_tag(Place& place);
  void lay_union(const Place& place, int depth);
  void lay_variants(const Place& place, const Field& number, int depth);
  void add_discriminant(Place& place);
  void lay_alternatives(const Place& place, int depth);
  bool may_point(TypeId id, int depth);

  const TypeTable& types_;
  const Containers& containers_;
  TypeLayout layout_;
  std::vector<uint8_t> words_;  // by word: the best kind so far
  size_t steps_ = 0;
};

// Of members looked at for one layout, and of types inside types.
constexpr size_t kMaxLayoutSteps = 1 << 18;
constexpr int kMaxLayoutDepth = 64;

// Room for a value of some type or other.
bool is_raw_storage(std::string_view name);

}  // namespace heapwalk
