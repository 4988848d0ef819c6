// Analyses made by hand: a heap, its roots and its references stated in a few lines, run through the real graph stages.
//
//     AnalysisBuilder builder;
//     auto module = builder.owner(OwnerKind::module, "server");
//     auto cache = builder.root(RootKind::global, module, "cache");
//     auto session = builder.object(64, "7Session");      // a class name as C++ mangles it: the object gets its vtable pointer
//     builder.refer(cache, session);
//     Analysis analysis = builder.build();
//
// Objects lie one after the other in one region, as in a heap without gaps. sample_analysis() needs none of this: it
// is a filled-in Summary for the writers, names that try to break out of every format included.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "heapwalk/analysis.h"

namespace heapwalk::test {

class AnalysisBuilder {
 public:
  enum class OwnerRef : uint32_t {};
  enum class RootRef : uint32_t {};
  enum class ObjectRef : uint32_t {};

  OwnerRef owner(OwnerKind kind, std::string name);
  OwnerRef owner(OwnerKind kind, std::string name, OwnerRef parent);
  // `source`: "cache.cc:12".
  RootRef root(RootKind kind, OwnerRef owner, std::string name, std::string source = "");
  // `size_bytes`: usable, a multiple of 8. `mangled_class`: "" for an object without a vtable.
  ObjectRef object(uint64_t size_bytes, std::string_view mangled_class = "",
                   AllocationState state = AllocationState::used);
  AnalysisBuilder& refer(RootRef from, ObjectRef to, EdgeKind kind = EdgeKind::conservative);
  AnalysisBuilder& refer(ObjectRef from, ObjectRef to, EdgeKind kind = EdgeKind::conservative);

  // Every stage from the object index on; of the summary, the totals.
  Analysis build() const;

 private:
  struct Object {
    uint64_t size_bytes;
    std::string mangled_class;
    AllocationState state;
  };
  struct Reference {
    bool from_root;
    uint32_t from;
    uint32_t to;
    EdgeKind kind;
  };

  Address address_of(size_t object) const { return Address{addresses_[object]}; }
  CoreDump make_dump() const;
  RetentionGraph make_graph(const RootSet& roots) const;

  RootSet roots_;
  std::vector<Object> objects_;
  std::vector<uint64_t> addresses_;
  std::vector<Reference> references_;
};

// A summary, diagnostics and a dump as the writers get them.
Analysis sample_analysis();

}  // namespace heapwalk::test
