// The histogram by type: count, shallow and retained bytes.
//
// A type's retained bytes sum only the objects that have no dominating ancestor of the same type: the nodes of a list
// would otherwise count the list once per node. Whether an ancestor has the type is a question about sets, and few
// different sets of types occur on dominator chains; so each node carries the number of the set on its chain (the same
// 4 bytes that held its type before), and sets are interned as they appear.
#pragma once

#include <vector>

#include "heapwalk/dominator_tree.h"
#include "heapwalk/object_index.h"
#include "heapwalk/reachability.h"
#include "heapwalk/summary.h"
#include "heapwalk/types/object_types.h"

namespace heapwalk {

struct TypeSummary {
  std::vector<TypeRow> types;  // by bytes, descending
  EvidenceBytes evidence;
};

TypeSummary summarize_types(const ObjectIndex& objects, const ObjectTypes& types, const RetentionGraph& graph,
                            const Reachability& reachability, const DominatorTree& dominators, size_t threads,
                            Diagnostics& diagnostics);

}  // namespace heapwalk
