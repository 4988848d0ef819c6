// A retention graph on one screen of text, with what is expected of it; no core is needed.
//
//     owner libfoo                      an owner of the process; `owner NAME in OWNER` below another one
//     root cache in libfoo -> a         a root and what it refers to
//     a 16 -> b !c ~d                   an object: its bytes, its edges: exact (!), conservative, tainted (~)
//     e 32 free                         a block that is not used
//     dominators: process(libfoo(cache(a(b c d))))       children in the order of the declarations
//     stages: exact(libfoo cache) conservative(a b)       optional: every class that is not empty, less the tops
//     leak roots: x                     optional
//     retained: a=48/3 b=16/1           optional: bytes/objects
//
// Names are declared anywhere; objects get ids in the order of their lines. parse() fails the test on a mistake in the
// text; mismatch() runs the whole chain of algorithms and says what differs from the expectations, or nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "heapwalk/dominator_tree.h"
#include "heapwalk/object_index.h"
#include "heapwalk/reachability.h"
#include "heapwalk/retention_graph.h"

namespace heapwalk {

// The graph of these rows, one per node, in any order within.
RetentionGraph make_graph(std::vector<std::vector<Edge>> rows, uint32_t first_object);

// A graph as lists, convenient to build by hand or at random. Self-edges and duplicates are removed when it is built.
struct GraphSketch {
  uint32_t first_object = 2;            // the two tops, owners and roots come before
  std::vector<uint64_t> sizes;          // by object
  std::vector<AllocationState> states;  // by object; missing: used
  std::vector<std::vector<Edge>> rows;  // by node; missing: empty

  uint32_t node_count() const { return first_object + static_cast<uint32_t>(sizes.size()); }
  void add_edge(uint32_t from, uint32_t to, EdgeKind kind = EdgeKind::conservative);
  RetentionGraph graph() const;
  ObjectIndex objects() const;
};

class GraphText {
 public:
  explicit GraphText(std::string_view text);

  NodeId node(std::string_view name) const;
  const std::string& name(NodeId node) const { return names_[index(node)]; }
  std::string names(const std::vector<NodeId>& nodes) const;  // "a b c"

  const RetentionGraph& graph() const { return graph_; }
  const ObjectIndex& objects() const { return objects_; }

  // Empty when everything that the text expects is so.
  std::string mismatch() const;

 private:
  void parse(const std::vector<std::vector<std::string>>& lines);
  std::string dominators_text(const DominatorTree& tree, NodeId top) const;
  std::string stages_text(const Reachability& reachability) const;
  std::string retained_text(const DominatorTree& tree, const Reachability& reachability,
                            std::string_view expected) const;

  std::vector<std::string> names_;
  std::map<std::string, uint32_t, std::less<>> nodes_;
  std::map<std::string, std::string> expected_;  // by keyword
  GraphSketch sketch_;
  RetentionGraph graph_;
  ObjectIndex objects_;
};

}  // namespace heapwalk
