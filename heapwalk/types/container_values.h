// What a library's container holds, in one line, instead of the members that it is made of.
//
//     std::string                   "alice"
//     std::vector<Event>            size 3, capacity 4
//     std::map<int, Item>           size 12
//     std::shared_ptr<Shape>        0x5555…40 → Circle        what lies there, not what is declared
//     std::optional<Token>          has a value, which follows
//     std::variant<long, double>    alternative 1, which follows
//
// Which words say so, the table of containers knows (containers.h). A record that is no container, or whose words make no
// sense for one, has no such line: its members stand for themselves.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "dump/address_space.h"
#include "heapwalk/types/container_places.h"

namespace heapwalk {

// Quoted and escaped as in C; bytes from `max_bytes` on are an ellipsis.
std::string quoted_text(std::string_view text, size_t max_bytes);

struct ContainerValue {
  std::string text;
  TypeId part = kNoType;  // of the value inside, of an optional or variant
  uint64_t part_offset_bytes = 0;
};

class ContainerValues {
 public:
  using NameAt = std::function<std::string(Address)>;  // the type of what begins there; empty: nobody knows

  // All three are borrowed.
  ContainerValues(const TypeTable& types, const Containers& containers, const AddressSpace& memory, NameAt name_at);

  const Containers& containers() const { return containers_; }
  // Nothing when the record is no container, or does not look like one there.
  std::optional<ContainerValue> at(TypeId record, Address address) const;

 private:
  struct Found {
    const ContainerRule* rule = nullptr;  // null: no container
    TypeId record = kNoType;              // the implementation that the rule speaks of
    uint64_t offset_bytes = 0;
  };
  Found find(TypeId record) const;
  std::optional<ContainerValue> text(const ContainerPlace& place, TypeId element, Address address, Bytes value) const;
  std::optional<ContainerValue> text_at(uint64_t address, uint64_t length) const;
  std::optional<ContainerValue> pointer(const Found& found, Bytes value) const;
  std::optional<ContainerValue> optional_value(const Found& found, Bytes value) const;
  std::optional<ContainerValue> alternative(const Found& found, Bytes value) const;
  TypeId element_of(const Found& found) const;

  const TypeTable& types_;
  const Containers& containers_;
  const AddressSpace& memory_;
  NameAt name_at_;
};

}  // namespace heapwalk
