// Blocks of which nothing is known but their words: named by size and shape, so that one row stands for one kind of record.
//
//     [text]                     mostly printable characters (text_blocks.h)
//     [48 B **...&]              one character per word: `*` leads into the heap, `&` into the program's code or data,
//                                `.` neither. A null pointer counts as what it is in other blocks of the shape.
//     [48 B **...& tcp_ops]      … and all lead to the same function or static object: what C writes for a vtable
//     [208 B *...............+]  the first 16 words, and more
//     [48 B data]                no word leads anywhere
//     [4KB..8KB pointers]        of the first words that are not null most lead into the heap: a hash table's buckets
//
// A shape is a name and no evidence: nothing follows from it. A picture that few blocks share is left out: they keep the
// name of their size.
//
// How null words are told from numbers: a block *fits* a shape when its words that lead into the heap stand at `*`, those
// that lead into the program at `&`, and all other words there are null. Of the shapes that enough blocks show without
// such a null word in between, each block takes the one that most blocks fit: the leaves of a tree join its inner nodes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/managed_heap.h"
#include "heapwalk/object_index.h"

namespace heapwalk {

struct BlockShapes {
  static constexpr uint64_t kLeastBlocks = 16;  // that show a shape, for it to be one
  static constexpr size_t kMaxShapes = 4096;

  std::vector<std::string> names;  // most frequent first
  // Gives used objects with `kind_of[id] == 0` that have a shape the number `first_kind` + its position in `names`.
  // Managed objects have types of their own and are left out. `kind_of`: by ObjectId. O(bytes of the blocks' beginnings).
  // The same for any number of threads.
  static BlockShapes name(const CoreDump& dump, const ObjectIndex& objects, const ManagedHeap& managed,
                          std::vector<uint16_t>& kind_of, uint16_t first_kind, size_t threads);
};

}  // namespace heapwalk
