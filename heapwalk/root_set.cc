#include "heapwalk/root_set.h"

#include <algorithm>

namespace heapwalk {

std::string_view to_string(RootKind kind) {
  switch (kind) {
    case RootKind::global:
      return "global";
    case RootKind::tls:
      return "tls";
    case RootKind::stack:
      return "stack";
    case RootKind::register_:
      return "register";
    case RootKind::mapping:
      return "mapping";
    case RootKind::goroutine:
      return "goroutine";
    case RootKind::handle:
      return "handle";
  }
  return "global";
}

bool is_group(const std::vector<Owner>& owners, uint32_t owner) {
  return owners[owner].kind == OwnerKind::goroutine && owners[owner].parent == kNoOwner && owner + 1 < owners.size() &&
         owners[owner + 1].parent == owner;
}

std::string_view to_string(OwnerKind kind) {
  switch (kind) {
    case OwnerKind::module:
      return "module";
    case OwnerKind::thread:
      return "thread";
    case OwnerKind::frame:
      return "frame";
    case OwnerKind::goroutine:
      return "goroutine";
    case OwnerKind::runtime:
      return "runtime";
    case OwnerKind::mappings:
      return "mappings";
  }
  return "module";
}

std::string RootSet::owner_name(const Root& root) const {
  std::string name;
  for (uint32_t owner = root.owner; owner != kNoOwner; owner = owners[owner].parent) {
    name = name.empty() ? owners[owner].name : owners[owner].name + ", " + name;
  }
  return name;
}

bool RootSet::is_local(const Root& root) const {
  return root.owner != kNoOwner && owners[root.owner].kind == OwnerKind::frame && !root.sp_offset_bytes;
}

bool RootSet::check() const {
  for (uint32_t i = 0; i < owners.size(); ++i)
    if (owners[i].parent != kNoOwner && owners[i].parent >= i) return false;
  std::vector<AddressRange> locations;
  for (const Root& root : roots) {
    if (root.owner != kNoOwner && root.owner >= owners.size()) return false;
    const bool may_be_value = root.kind == RootKind::handle || root.kind == RootKind::goroutine;
    if (!may_be_value && root.location.empty() != (root.kind == RootKind::register_)) return false;
    if (!root.location.empty()) locations.push_back(root.location);
  }
  std::ranges::sort(locations);
  for (size_t i = 1; i < locations.size(); ++i)
    if (locations[i].begin < locations[i - 1].end) return false;
  return true;
}

}  // namespace heapwalk
