// The bytes of the process, as far as they are known.
//
//     address ──────────────────────────────────────────────────────────────►
//     [ from the core ][ from a file ]      [ core ][  absent  ]   [ core ]
//
// Every address belongs to at most one Region, and every byte of a region is in one of three states: *in the core*,
// *from a file* (a mapped file whose build id was found equal to the image in the core), or *absent* (the process had
// the mapping, the core left the bytes out and no file supplies them). Absent is never read as zero: reads stop
// there. A region borrows its bytes from a file mapping that the CoreDump owns; nothing is copied.
//
// Laws (check()): regions are sorted, disjoint and not empty; `data` is null exactly when absent.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dump/base/address.h"
#include "dump/base/byte_reader.h"

namespace heapwalk {

enum class ByteState : uint8_t { core, file, absent };

struct Region {
  AddressRange range;
  ByteState state = ByteState::absent;
  const std::byte* data = nullptr;  // range.size_bytes() bytes, possibly unaligned

  Bytes bytes() const { return data == nullptr ? Bytes{} : Bytes{data, range.size_bytes()}; }
};

class AddressSpace {
 public:
  AddressSpace() = default;
  // Regions in any order. Where two overlap, core beats file beats absent, then the earlier one wins: core files in
  // the wild overlap, and one byte must not have two values.
  explicit AddressSpace(std::vector<Region> regions);

  std::span<const Region> regions() const { return regions_; }
  // The region that contains the address, or null. O(log regions).
  const Region* find(Address address) const;

  // The bytes known from `address` on, without a gap and at most `size`; fewer where the region ends or bytes are
  // absent. Touching regions whose data also touches in memory were merged, so a mapping of the core is one region.
  Bytes read(Address address, uint64_t size) const;
  // All `size` bytes or an empty span.
  Bytes read_exactly(Address address, uint64_t size) const;

  // As read_exactly, for one address after another near it: `region` is where the last one was, null at first.
  const std::byte* read_near(const Region*& region, Address address, uint64_t size) const {
    if (region == nullptr || !region->range.contains(address)) region = find(address);
    if (region == nullptr || region->data == nullptr || region->range.end - address < size) return nullptr;
    return region->data + (address - region->range.begin);
  }

  // Copies the bytes to `out`, across region boundaries too (the first page of an image is in the core, its second one
  // in the file). False, and `out` untouched or partly written, where a byte is not known.
  bool copy(Address address, std::span<std::byte> out) const;

  template <class T>
  std::optional<T> read(Address address) const {
    Bytes bytes = read_exactly(address, sizeof(T));
    if (bytes.size() == sizeof(T)) return load<T>(bytes.data());
    std::array<std::byte, sizeof(T)> pieces;
    if (!copy(address, pieces)) return std::nullopt;
    return load<T>(pieces.data());
  }
  std::optional<uint64_t> read_word(Address address) const { return read<uint64_t>(address); }
  std::optional<Address> read_pointer(Address address) const {
    auto word = read<uint64_t>(address);
    return word ? std::optional(Address{*word}) : std::nullopt;
  }
  // The bytes up to a NUL within `max_bytes`, or nullopt when there is none.
  std::optional<std::string> read_c_string(Address address, uint64_t max_bytes = 4096) const;

  bool check() const;

 private:
  std::vector<Region> regions_;
};

}  // namespace heapwalk
