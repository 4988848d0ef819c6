// Addresses in the dumped process.
//
// An Address is a number that means something in the *target*, never in this process: it cannot be dereferenced, and
// it does not convert to or from an integer by accident. Arithmetic is unsigned and wraps, because the highest mapping
// of an x86-64 process (vsyscall, 0xffffffffff600000) lies above the signed range. Ranges are half-open: [begin, end).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace heapwalk {

struct Address {
  uint64_t value = 0;

  constexpr Address() = default;
  constexpr explicit Address(uint64_t v) : value(v) {}

  constexpr explicit operator bool() const { return value != 0; }
  friend constexpr auto operator<=>(Address, Address) = default;
  friend constexpr Address operator+(Address a, uint64_t bytes) { return Address{a.value + bytes}; }
  friend constexpr Address operator-(Address a, uint64_t bytes) { return Address{a.value - bytes}; }
  friend constexpr uint64_t operator-(Address a, Address b) { return a.value - b.value; }
  constexpr Address& operator+=(uint64_t bytes) {
    value += bytes;
    return *this;
  }

  // `alignment` is a power of two. align_up wraps to 0 at the very top of the address space.
  constexpr Address align_down(uint64_t alignment) const { return Address{value & ~(alignment - 1)}; }
  constexpr Address align_up(uint64_t alignment) const { return Address{(value + alignment - 1) & ~(alignment - 1)}; }
  constexpr bool is_aligned(uint64_t alignment) const { return (value & (alignment - 1)) == 0; }
};

struct AddressRange {
  Address begin;
  Address end;

  static constexpr AddressRange of(Address begin, uint64_t size_bytes) { return {begin, begin + size_bytes}; }
  constexpr uint64_t size_bytes() const { return end > begin ? end - begin : 0; }
  constexpr bool empty() const { return end <= begin; }
  constexpr bool contains(Address a) const { return a >= begin && a < end; }
  constexpr bool contains(AddressRange r) const { return r.begin >= begin && r.end <= end; }
  constexpr bool overlaps(AddressRange r) const { return r.begin < end && begin < r.end; }
  constexpr AddressRange intersect(AddressRange r) const {
    AddressRange both{begin > r.begin ? begin : r.begin, end < r.end ? end : r.end};
    return both.end < both.begin ? AddressRange{both.begin, both.begin} : both;
  }
  friend constexpr auto operator<=>(const AddressRange&, const AddressRange&) = default;
};

}  // namespace heapwalk

template <>
struct std::hash<heapwalk::Address> {
  size_t operator()(heapwalk::Address a) const noexcept { return std::hash<uint64_t>{}(a.value); }
};
