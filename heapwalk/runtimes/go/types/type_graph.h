// The run-time's type descriptors as they refer to each other, read once each, with the names that a Go programmer and Go's
// debug info use.
//
//     *main.Session ─► main.Session ─► field Next ─► *main.Session …
//                                   └► field peers ─► map[string]*main.Session ─► key, element, group of slots
//
// A descriptor's own text has the package's last name only ("json.Decoder", "[]json.Decoder"): a defined type's import path
// stands behind its descriptor, and the names of all others are put together from those of their parts.
// Types that reflection made lie on the heap and have their text elsewhere; their parts say enough.
// Source: Go 1.19 … 1.27 internal/abi/type.go (Name, UncommonType); runtime/type.go (rtype.string, pkgpath, resolveNameOff).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dump/base/diagnostics.h"
#include "heapwalk/runtimes/go/program/process.h"
#include "heapwalk/runtimes/go/program/type_descriptor.h"

namespace heapwalk::go {

// A name as the run-time stores it: a byte of flags, a length of seven bits per byte, the text.
struct StoredName {
  std::string text;
  bool is_embedded = false;  // of a field: its type's name is all it has
};
std::optional<StoredName> read_stored_name(const AddressSpace& memory, Address at);

constexpr uint32_t kNoNode = UINT32_MAX;

struct FieldNode {
  std::string name;
  uint32_t type = kNoNode;
  uint64_t offset_bytes = 0;
  bool is_embedded = false;
};

struct TypeNode {
  TypeDescriptor descriptor;
  std::string text;                           // its own: "json.Decoder"; empty where it cannot be had
  std::string name;                           // "encoding/json.Decoder"; never empty
  uint32_t element = kNoNode;                 // of arrays, channels, maps, pointers and slices
  uint32_t key = kNoNode, group = kNoNode;    // of maps; group: eight slots (Swiss) or a bucket (classic)
  uint64_t length = 0;                        // of arrays
  uint32_t first_field = 0, field_count = 0;  // of structs
  bool is_classic_map = false;
};

class TypeGraph {
 public:
  // Both outlive this.
  TypeGraph(const AddressSpace& memory, const Process& process) : memory_(&memory), process_(&process) {}

  // The type there and all it leads to; kNoNode where no descriptor can be. Numbers ascend as types are added.
  uint32_t add(Address type);
  uint32_t find(Address type) const {
    auto at = numbers_.find(type);
    return at == numbers_.end() ? kNoNode : at->second;
  }

  uint32_t size() const { return static_cast<uint32_t>(nodes_.size()); }
  const TypeNode& operator[](uint32_t node) const { return nodes_[node]; }
  std::span<const FieldNode> fields(const TypeNode& node) const {
    return std::span(fields_).subspan(node.first_field, node.field_count);
  }
  // Descriptors that something refers to and that are none, or were one too many.
  uint64_t damage() const { return damage_; }

 private:
  uint32_t number_of(Address type);
  void read_parts(uint32_t node);
  void read_fields(TypeNode& node);
  std::string text_of(const TypeDescriptor& type) const;
  std::string package_of(const TypeDescriptor& type) const;
  std::string name_at(const TypeDescriptor& type, int32_t offset) const;
  const std::string& name(uint32_t node, int depth);
  std::string compose(const TypeNode& node, int depth);
  std::string compose_struct(const TypeNode& node, int depth);
  std::string compose_function(const TypeNode& node, int depth);

  const AddressSpace* memory_;
  const Process* process_;
  std::deque<TypeNode> nodes_;  // references stay valid
  std::vector<FieldNode> fields_;
  std::vector<uint8_t> naming_;  // by node: its name is being put together
  std::unordered_map<Address, uint32_t> numbers_;
  uint64_t damage_ = 0;
};

}  // namespace heapwalk::go
