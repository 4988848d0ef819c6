// What each object is, as far as the core itself says.
//
// Evidence, best first (the classes of the command line's contract):
//   runtime   the first word is the address point of a vtable: the symbol `_ZTV<T>` covers it, the word before it is
//             that class's typeinfo and the word before that says offset-to-top 0 (Itanium C++ ABI §2.5), so the
//             object of dynamic type T starts right here;
//   none      nothing is known: the object is named by its size class, "[48 B]" or "[4KB..8KB)".
// Nothing is stored per object: a claim is derived in O(log vtables) from the size and the first word.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/object_index.h"

namespace heapwalk {

enum class TypeEvidence : uint8_t { runtime, container, pointer, field, none };
std::string_view to_string(TypeEvidence evidence);

struct TypeClaim {
  uint32_t type = 0;  // dense: [0, type_count())
  TypeEvidence evidence = TypeEvidence::none;
};

class ObjectTypes {
 public:
  // Borrows the dump. Reads the vtables that the modules' symbols name.
  explicit ObjectTypes(const CoreDump& dump);

  // Thread-safe. `address` and `size_bytes` are those of a used allocation.
  TypeClaim type_of(Address address, uint64_t size_bytes) const;
  TypeClaim type_of(const ObjectIndex& objects, ObjectId object) const;

  uint32_t type_count() const { return static_cast<uint32_t>(names_.size()); }
  std::string_view name(uint32_t type) const { return names_[type]; }
  TypeEvidence evidence(uint32_t type) const {
    return type < kSizeClasses ? TypeEvidence::none : TypeEvidence::runtime;
  }

 private:
  // Usable sizes up to 1 KiB are a class each (8-byte steps), larger ones one class per power of two.
  static constexpr uint32_t kSmallClasses = 1024 / 8 + 1;
  static constexpr uint32_t kSizeClasses = kSmallClasses + 54;
  static uint32_t size_class(uint64_t size_bytes);

  struct Vtable {
    Address address_point;
    uint32_t type;
  };
  const CoreDump* dump_;
  std::vector<Vtable> vtables_;  // sorted, unique
  AddressRange vtable_span_;
  std::vector<std::string> names_;  // size classes, then classes with a vtable
};

}  // namespace heapwalk
