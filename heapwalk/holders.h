// Who holds an object, in a few words that are the same from run to run.
//
//     main.cache                          a package variable, and nothing else: without it the object would be garbage
//     server .bss+0x4c0                   the same in a program that was stripped of its names
//     goroutine main.worker local batch   a variable of one goroutine, whichever; of several that do the same, they are one
//     handle finalizer                    what the run-time itself keeps
//     main.cache (shared)                 several roots hold it; this one is the nearest
//     garbage                             nothing does, and the collector would free it;  leaked: nor does it know it
//
// The name is that of the root on the shortest path, as in the rows of `objects`; whether it holds the object alone is what the
// dominators say: the chain of them ends at a root, or above the roots. Where it ends at a goroutine, a thread or a
// frame, several variables of that one hold the object, which is no sharing.
//
// Asked for some objects out of millions, each walks up its two chains. One in 64 nodes, chosen by its number,
// remembers where the chain through it leads, so that no chain is walked twice however long it is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "heapwalk/analysis.h"

namespace heapwalk {

class Holders {
 public:
  explicit Holders(const Analysis& analysis) : analysis_(analysis) {}

  // Of a used object: a number below count(), the same for the same name.
  uint32_t of(NodeId object);
  uint32_t count() const { return static_cast<uint32_t>(names_.size()); }
  const std::string& name(uint32_t holder) const { return names_[holder]; }
  // One that no object has by itself.
  uint32_t named(const std::string& name);

  // The root's node, kUnreachableNode, or (where the core says no more) the object at the end of its shortest path.
  NodeId nearest_root(NodeId object);

 private:
  using Chain = std::unordered_map<uint32_t, NodeId>;  // node to where its chain ends
  template <class Above>
  NodeId end_of(NodeId object, Chain& known, Above above) const;
  bool is_shared(NodeId object);

  const Analysis& analysis_;
  Chain by_dominator_, by_path_;
  std::unordered_map<uint64_t, uint32_t> of_roots_;  // root's node and whether it is shared
  std::map<std::string, uint32_t> by_name_;
  std::vector<std::string> names_;
};

// Of a root: the name that it has in every run, behind its kind, which goes without saying for a variable.
std::string holder_name(const Root& root);

}  // namespace heapwalk
