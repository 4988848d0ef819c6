// Puts the types of units into the builder, in unit order.
//
//     alias ─► alias ─► pointer ─► alias ─► compound "ns::X"          a reference is followed to the entry that ends it,
//       X*  ◄─   X*  ◄─    X*  ◄─    X    ◄─     X                    and on the way back each entry gets its TypeId
//
// Named definitions are added whether anything refers to them or not; all else when something does. Members are read last,
// from a queue, so types may refer to each other in circles.
// A reference may lead to a unit outside the batch (link-time optimisation, type units): that one is read again then, and
// what was asked of it is remembered. Bytes read for that are limited, so that no file can make it quadratic. Partial units,
// which exist to be referred to, stay when their batch goes, up to some bytes of them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "dwarf/type_table.h"
#include "dwarf/unit_types.h"

namespace heapwalk {

class TypeJoiner {
 public:
  // The unit that an entry lies in; nullopt when none does, or it cannot be read.
  using ReadUnit = std::function<std::optional<UnitTypes>(EntryKey)>;
  TypeJoiner(TypeTableBuilder& types, ReadUnit read_unit, uint64_t max_bytes_read_again)
      : types_(types), read_unit_(std::move(read_unit)), bytes_left_(max_bytes_read_again) {}

  // The units of a batch, in their order.
  void add(UnitTypes said) { hold(std::move(said), false); }
  void add_definitions();        // the named ones of the batch
  TypeId resolve(EntryKey key);  // of an entry in the batch or elsewhere
  void fill_queued();            // the members of what was resolved; they may resolve more
  void drop_batch();             // after all that
  uint64_t damage() const { return damage_; }

 private:
  struct Unit {
    UnitTypes said;
    std::vector<TypeId> resolved;  // by entry
    bool is_elsewhere = false;
    bool is_joined = false;  // its definitions are in the table
    bool stays = false;
  };
  struct Place {
    Unit* unit;
    uint32_t entry;
  };
  Unit& hold(UnitTypes said, bool is_elsewhere);
  std::optional<Place> find(EntryKey key);
  bool names_another(const TypeEntry& entry);
  void name_by_typedef(const Place& place, const std::vector<Place>& chain);
  TypeId end_of_chain(const Place& place);
  TypeId wrap(const Place& place, TypeId target);
  void fill(const Place& place);
  Field field_of(const TypeMember& member, uint64_t owner_size_bytes);
  TypeId fitting(const Field& field, uint64_t owner_size_bytes);
  TypeId remember(const Place& place, TypeId id);

  TypeTableBuilder& types_;
  ReadUnit read_unit_;
  uint64_t bytes_left_;
  uint64_t staying_bytes_ = 0;
  uint64_t damage_ = 0;
  std::map<EntryKey, Unit> units_;  // by where they begin
  std::deque<Place> queue_;         // compounds to fill
  std::unordered_map<EntryKey, TypeId> elsewhere_;
};

}  // namespace heapwalk
