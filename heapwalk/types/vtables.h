// Which class an object is of, as its first word says: no debug info needed.
//
// A polymorphic object begins with the address point of a vtable: the symbol `_ZTV<T>` covers it, the word before it is
// the class's typeinfo, and the word before that says offset-to-top 0 (Itanium C++ ABI §2.5), so the object of dynamic
// type T starts right there. Where there are no symbols, run-time type information tells the same (rtti.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "dump/core_dump.h"
#include "dwarf/type_table.h"

namespace heapwalk {

class Vtables {
 public:
  explicit Vtables(const CoreDump& dump);

  // The number of the class whose primary vtable has its address point there. Thread-safe, O(log vtables).
  std::optional<uint32_t> class_at(Address word) const { return span_.contains(word) ? search(word) : std::nullopt; }
  const std::vector<std::string>& classes() const { return classes_; }  // demangled names, by number
  // The class of that number in the debug info, kNoType when it is not there.
  TypeId record_of(uint32_t number, const TypeTable& types) const;

 private:
  struct Vtable {
    Address address_point;
    uint32_t type;
  };
  void add_by_symbols(const CoreDump& dump);
  void add(Address address_point, const std::string& mangled_class);
  std::optional<uint32_t> search(Address word) const;

  std::vector<Vtable> vtables_;  // sorted, unique
  AddressRange span_;
  std::vector<std::string> classes_;
  std::vector<std::string> symbols_;                   // "_ZTV…", by number
  std::unordered_map<std::string, uint32_t> numbers_;  // of mangled classes
};

}  // namespace heapwalk
