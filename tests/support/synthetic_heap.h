// A heap of many small allocations, laid out in memory as a program would have left it, without a core file.
//
// The bytes lie in an unlinked memory file that is mapped shared, as the bytes of a core file are: they do not count as
// anonymous memory, so that what a stage allocates can be measured. Every allocation has 40 usable bytes in a chunk of
// 48, as malloc(40) gives; arrays that lead to them (buckets, tables) follow in chunks of their own. One root refers to
// one table of all the structures. Shapes:
//
//   lists         singly linked, 1000 long; every second allocation is a node's payload
//   double_lists  circular with a header, 100 long (std::list)
//   trees         left, right, parent; 1023 nodes under a header that knows root, leftmost, rightmost (std::map)
//   hash_maps     one chain over all nodes of 1000, a bucket array into the chain, a payload each (std::unordered_map)
//   random        two pointers each to anywhere: no structure at all, the worst case of every stage
//   mixed         a fifth of each
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/object_index.h"
#include "heapwalk/root_set.h"

namespace heapwalk {

enum class HeapShape : uint8_t { lists, double_lists, trees, hash_maps, random, mixed };
std::string_view to_string(HeapShape shape);

struct SyntheticHeap {
  CoreDump dump;  // memory only
  RootSet roots;
  uint32_t allocations = 0;
  AddressRange region;
  AddressRange arrays_region;
  std::vector<uint64_t> array_sizes;
  std::shared_ptr<const void> storage;  // of the bytes

  std::vector<AllocationSink> sinks() const;
};

// `shuffled`: neighbours in the structures are not neighbours in memory (an aged heap), else they are.
SyntheticHeap make_heap(HeapShape shape, uint32_t allocations, bool shuffled);

}  // namespace heapwalk
