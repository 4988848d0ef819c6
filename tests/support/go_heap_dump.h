// What runtime/debug.WriteHeapDump wrote: Go's own list of all objects of its heap, with contents and pointer fields.
//
//     "go1.7 heap dump\n"  record…  0          record: tag, then what the tag says; all numbers are varints
//         1 object          address, contents, fields          5 frame      stack pointer, contents, function, fields
//         4 goroutine       …, state, wait reason              7 finalizer  object, function
//        12 data, 13 bss    address, contents, fields         10 memstats   …
//     fields: (1, offset)… 0: the offsets of the words that are pointers
//
// After Go 1.27 runtime/heapdump.go. What the writer leaves out: stack objects, the contents of what conservative
// frames hold, cleanups, and other specials than finalizers. What it has too much: from 1.22 on it counts objects by
// the size of the span, and takes what lies there for heap bits (and Green Tea's marks) for further objects; such
// phantoms are not in `objects` here but counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dump/base/address.h"
#include "dump/base/byte_reader.h"
#include "dump/base/result.h"

namespace heapwalk::test {

struct GoHeapDump {
  struct Object {
    Address address;  // of the slot: where the run-time keeps a type word in front, its address
    Bytes contents;   // the whole slot
    size_t first_field = 0, field_count = 0;
  };
  struct Frame {
    Address stack_pointer;
    uint64_t depth = 0;  // 0: the innermost
    Bytes contents;
    Address entry, pc;
    std::string function;
    std::vector<uint64_t> pointer_offsets;  // in contents
  };
  struct Goroutine {
    Address address;
    uint64_t id = 0, created_at = 0, status = 0, waiting_since = 0;
    bool is_system = false;
    std::string wait_reason;
    Address context, thread, deferred, panicking;
    std::vector<Frame> frames;
  };
  struct Finalizer {
    Address object, function, code;
    bool is_queued = false;
  };
  struct Segment {
    Address address;
    Bytes contents;
    std::vector<uint64_t> pointer_offsets;
  };
  struct Sample {
    Address object;
    uint64_t bucket = 0;
  };
  struct Site {
    uint64_t bucket = 0, size = 0, allocs = 0, frees = 0;
    struct Line {
      std::string function, file;
      uint64_t line = 0;
    };
    std::vector<Line> stack;
  };

  std::vector<char> file;  // spans borrow from it
  std::string version, architecture;
  std::vector<Object> objects;  // ascending
  std::vector<uint64_t> fields;
  std::vector<Goroutine> goroutines;
  std::vector<Finalizer> finalizers;
  std::vector<Sample> samples;
  std::vector<Site> sites;
  Segment data, bss;
  // In the order of runtime.MemStats, from Alloc to PauseTotalNs; then 256 pauses and NumGC.
  std::vector<uint64_t> memstats;
  size_t phantoms = 0;

  std::span<const uint64_t> pointer_offsets(const Object& object) const {
    return std::span(fields).subspan(object.first_field, object.field_count);
  }
  const Object* find(Address address) const;  // whose slot has the address; null
  uint64_t heap_alloc() const { return memstats.at(6); }
  uint64_t object_bytes() const;
};

Result<GoHeapDump> read_go_heap_dump(const std::string& path);

}  // namespace heapwalk::test
