// What each object is, and how we know.
//
// Evidence, best first (the classes of the command line's contract):
//   runtime    the object says so itself: its first word is a vtable's address point
//   container  a container that holds it says so: vector's elements, a map's nodes
//   pointer    a typed pointer leads to its start, and its size fits
//   field      the same field of other objects leads to objects of one known type
//   none       nothing is known: the object is named by size and shape, "[48 B **...&]" (block_shapes.h), or by its size
//              class alone, "[48 B]" or "[4KB..8KB)"
//
// Objects share *kinds* (a type, how it fills the object, the evidence), numbered in 16 bits: 2 bytes per object, however
// many types the program has. Who made the claims: type_inference.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapwalk/object_index.h"
#include "heapwalk/types/element_use.h"
#include "heapwalk/types/size_classes.h"
#include "heapwalk/types/type_layout.h"

namespace heapwalk {

enum class TypeEvidence : uint8_t { runtime, container, pointer, field, none };
std::string_view to_string(TypeEvidence evidence);

struct TypeClaim {
  uint32_t type = 0;  // dense: [0, type_count())
  TypeEvidence evidence = TypeEvidence::none;
};

// How a type fills an object: `header_bytes` (the cookie of new[]), then elements of the layout's size one behind the
// other; one only unless `is_array`. What follows is slack.
struct ObjectShape {
  TypeId element = kNoType;
  const TypeLayout* layout = nullptr;  // null: a name is all that is known
  uint32_t header_bytes = 0;
  bool is_array = false;
  bool has_tail = false;  // what follows the element belongs to the program (struct hack), nobody knows as what
};

class ObjectTypes {
 public:
  ObjectTypes();  // nothing known
  ObjectTypes(const ObjectTypes&) = delete;
  ObjectTypes& operator=(const ObjectTypes&) = delete;

  // Thread-safe, O(1). `size_bytes` is the object's.
  TypeClaim type_of(ObjectId object, uint64_t size_bytes) const {
    const uint16_t kind = index(object) < kind_of_.size() ? kind_of_[index(object)] : uint16_t{0};
    if (kind == 0) return {size_class(size_bytes), TypeEvidence::none};
    return {kinds_[kind].type, kinds_[kind].evidence};
  }
  TypeClaim type_of(const ObjectIndex& objects, ObjectId object) const {
    return type_of(object, objects.size_bytes(object));
  }
  ObjectShape shape_of(ObjectId object) const {
    return index(object) < kind_of_.size() ? kinds_[kind_of_[index(object)]].shape : ObjectShape{};
  }
  // How many of the object's elements are in use, in bytes: vector's size as against its capacity. Others: all.
  uint64_t bytes_in_use(ObjectId object, uint64_t size_bytes) const;
  // Where those are not the first ones: which. Then bytes_in_use() is where the last one may end. Null: the first ones.
  const ElementUse* use_of(ObjectId object) const;

  // Of the type of a root; null when it has none.
  const TypeLayout* layout_of(TypeId type) const;

  uint32_t type_count() const { return static_cast<uint32_t>(names_.size()); }
  std::string_view name(uint32_t type) const { return names_[type]; }
  const TypeTable& table() const { return table_; }
  const Containers& containers() const { return *containers_; }

 private:
  friend class TypeInference;
  friend struct ClaimState;

  struct Kind {
    uint32_t type = 0;
    TypeEvidence evidence = TypeEvidence::none;
    ObjectShape shape;
  };
  struct InUse {
    uint32_t object;
    uint64_t bytes;
  };
  TypeTable table_;
  std::unique_ptr<Containers> containers_;             // over table_
  std::unique_ptr<TypeLayouts> layouts_;               // over both
  std::vector<std::string> names_;                     // size classes first
  std::vector<Kind> kinds_;                            // kinds_[0]: nothing known
  std::vector<uint16_t> kind_of_;                      // by ObjectId; empty when nothing is known of any
  std::vector<InUse> in_use_;                          // by object; those with spare capacity only
  std::vector<std::pair<uint32_t, ElementUse>> uses_;  // by object
};

}  // namespace heapwalk
