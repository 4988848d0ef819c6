// One structure of the run-time, read by field: record.word(Field::g_goid). What is absent, in this release or in the core,
// reads as null, never as zero.
#pragma once

#include <optional>

#include "dump/address_space.h"
#include "heapwalk/runtimes/go/program/layout.h"

namespace heapwalk::go {

class Record {
 public:
  Record(const AddressSpace& memory, const Layout& layout, Address at) : memory_(memory), layout_(layout), at_(at) {}

  Address at() const { return at_; }
  Address at(Field field) const { return at_ + layout_.offset(field); }
  bool has(Field field) const { return layout_.has(field); }

  // `inner`: bytes from the field's begin, for a field of a structure inside this one.
  template <class T>
  std::optional<T> read(Field field, uint64_t inner = 0) const {
    return layout_.has(field) ? memory_.read<T>(at(field) + inner) : std::nullopt;
  }
  std::optional<uint64_t> word(Field field, uint64_t inner = 0) const { return read<uint64_t>(field, inner); }
  std::optional<Address> pointer(Field field, uint64_t inner = 0) const {
    const auto value = word(field, inner);
    return value ? std::optional(Address{*value}) : std::nullopt;
  }
  // Null where it is absent, too: for fields whose zero says "none".
  Address pointer_or_null(Field field, uint64_t inner = 0) const { return pointer(field, inner).value_or(Address{}); }

 private:
  const AddressSpace& memory_;
  const Layout& layout_;
  Address at_;
};

}  // namespace heapwalk::go
