// The buckets in which the run-time counts events by the stack they happened on.
//
//     runtime.mbuckets ─► bucket { next, allnext ─► …, typ, hash, size, nstk }   newest first
//                         stack  [nstk] return addresses
//                         record   what was counted: memRecord or blockRecord
//
// They lie in memory of their own and are never freed. Source: Go 1.19 … 1.27 runtime/mprof.go (bucket).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "heapwalk/runtimes/go/profiles/profiles.h"

namespace heapwalk::go {

enum class BucketType : uint8_t { memory = 1, block = 2, mutex = 3 };  // the run-time's numbers

struct Bucket {
  Address at;
  uint64_t size_bytes = 0;      // of the objects, for memory; all objects of a bucket have one size
  std::vector<uint64_t> stack;  // return addresses, innermost first
  Address record;
};

// One of them. Nothing where it is of another type, cannot be, or is not in the core.
std::optional<Bucket> read_bucket(const ProfileInputs& inputs, Address at, BucketType type);

// All of the list at `head`. Those of another type, or that the core lacks, end it with a diagnostic.
std::vector<Bucket> read_buckets(const ProfileInputs& inputs, Address head, BucketType type, Diagnostics& diagnostics);

}  // namespace heapwalk::go
