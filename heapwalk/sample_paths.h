// The shortest paths to some objects out of millions, as short texts that many of them share.
//
//     main.cache → entries map<string,*Session> → […] Session → next Session ×… → buf []byte
//
// Objects whose paths begin at the same holder's root and run through the same types are on one line; a type that comes back counts
// as the run that it already made (stack_trie.h), so a list of any length is one step. Lines are numbered; the text of a
// line describes the path of the first object that was found on it. Of a path with very many nodes only both ends are described.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "heapwalk/analysis.h"
#include "heapwalk/holders.h"
#include "heapwalk/stack_trie.h"

namespace heapwalk {

class SamplePaths {
 public:
  SamplePaths(const Analysis& analysis, Holders& holders);

  uint32_t line_of(NodeId object);  // of a used object
  std::string text(uint32_t line);  // behind that of what no root reaches: "garbage"

 private:
  uint32_t first_frame(NodeId root);  // by which a path begins
  std::vector<NodeId> path_to(NodeId object) const;
  std::vector<std::string> steps_of(const std::vector<NodeId>& path) const;

  const Analysis& analysis_;
  Holders& holders_;
  uint32_t type_count_;
  std::vector<uint32_t> lines_;   // by node; kTop: not asked yet
  std::vector<NodeId> examples_;  // by line
  StackTrie trie_;
};

}  // namespace heapwalk
