// Everything about one allocation: what it is, what is in it, who refers to it, what it refers to, and who alone holds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dump/base/result.h"
#include "heapwalk/analysis.h"
#include "heapwalk/field_values.h"

namespace heapwalk {

// The other end of a reference: an object, or a root, which has a name and a kind instead.
struct Neighbour {
  Address address;    // of the object; of a root's location, 0 for registers
  std::string name;   // the object's type, the root's name
  std::string kind;   // of a root: "global"; empty for objects
  std::string field;  // where the referring word lies in whoever refers
  EdgeKind edge = EdgeKind::conservative;
  uint64_t size_bytes = 0, retained_bytes = 0;
};

struct ShowAnswer {
  Allocation object;
  std::string allocator;
  std::string type;  // empty unless used, as are all further ones
  TypeEvidence evidence = TypeEvidence::none;
  Stage stage = Stage::none;  // leaked, or how well it is reachable
  bool is_garbage = false;    // leaked, but a collector would free it
  uint64_t retained_bytes = 0, retained_objects = 0;
  std::vector<FieldValue> fields;                // when the type is known
  std::vector<uint8_t> bytes;                    // otherwise its first bytes, as far as the core has them
  std::vector<Neighbour> referrers, references;  // the first ones, by number
  uint64_t referrer_count = 0, reference_count = 0;
  std::optional<Neighbour> dominator;  // empty: several roots share it, or none reaches it
};

// `limit`: neighbours of each side at most; 0: all. Error: no allocation contains the address.
Result<ShowAnswer> show_object(const Analysis& analysis, Address address, uint64_t limit);

}  // namespace heapwalk
