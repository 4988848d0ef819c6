// Which types hold a value of another one, and where: a pointer into the middle of an object tells what is there, and what has
// that there, in a slot of just that size, with just those pointers, is often one type only.
//
//     *sync.Mutex ─► 24 bytes into a slot of 80    main.cache { …; +24 mu sync.Mutex; … }, 72 bytes
//
// Fields of fields count, and elements of arrays.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "heapwalk/runtimes/go/types/go_types.h"

namespace heapwalk::go {

class Embedding {
 public:
  // Of the types known now. `types` outlives this.
  explicit Embedding(const GoTypes& types);

  struct Holder {
    TypeId type;
    uint64_t offset_bytes;  // of the first one …
    uint64_t count = 1;     // … of so many,
    uint64_t stride = 0;    // so far apart
    bool has_at(uint64_t offset) const {
      if (offset < offset_bytes) return false;
      if (stride == 0) return offset == offset_bytes;
      return (offset - offset_bytes) % stride == 0 && (offset - offset_bytes) / stride < count;
    }
  };
  // Those that the program has a descriptor of. Empty when there are too many to tell.
  std::vector<Holder> holders_of(TypeId part) const;

 private:
  const GoTypes* types_;
  std::unordered_map<TypeId, std::vector<Holder>> direct_;
};

}  // namespace heapwalk::go
